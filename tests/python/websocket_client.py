"""A WebSocket client: text, binary, large and fragmented messages, ping, and an orderly close."""

import asyncio
import os
import sys

import websockets


async def talk(url, number):
    async with websockets.connect(url, max_size=None, proxy=None) as connection:
        for turn in range(50):
            text = f"{number}: message {turn} \N{SNOWMAN}"
            await connection.send(text)
            assert await connection.recv() == text
        for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
            content = os.urandom(size)
            await connection.send(content)
            assert await connection.recv() == content
        await connection.send(iter(["frag", "men", "ted"]))
        assert await connection.recv() == "fragmented"
        await (await connection.ping())
    assert connection.close_code == 1000, connection.close_code


async def main(url):
    await asyncio.gather(*(talk(url, number) for number in range(8)))


asyncio.run(main(sys.argv[1]))
