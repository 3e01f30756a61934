"""aiohttp in front of nginx behind the proxy: many requests at once, over a few connections."""

import asyncio
import sys

import aiohttp


async def main(base):
    connector = aiohttp.TCPConnector(limit=16)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:

        async def echo(number):
            async with client.get(f"{base}/echo?n={number}", headers={"X-A": str(number)}) as answer:
                assert answer.status == 200
                assert await answer.text() == f"GET /echo?n={number} {number}"

        await asyncio.gather(*(echo(number) for number in range(500)))

        async def upload(number):
            content = bytes([number]) * (100_000 + number)
            async with client.put(f"{base}/put/{number}", data=content) as answer:
                assert answer.status == 201, answer.status
            async with client.get(f"{base}/put/{number}") as answer:
                assert await answer.read() == content

        await asyncio.gather(*(upload(number) for number in range(32)))


asyncio.run(main(sys.argv[1]))
