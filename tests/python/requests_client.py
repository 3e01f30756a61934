"""Python's requests in front of nginx behind the proxy."""

import os
import sys

import requests

base = sys.argv[1]
with requests.Session() as client:
    client.trust_env = False
    for _ in range(20):
        answer = client.get(f"{base}/hello.txt", timeout=60)
        assert answer.text == "hello from nginx\n", answer.text
    assert client.head(f"{base}/hello.txt", timeout=60).headers["Content-Length"] == "17"
    answer = client.get(f"{base}/echo?a=b%20c", headers={"X-A": "1"}, timeout=60)
    assert answer.text == "GET /echo?a=b%20c 1", answer.text
    assert client.get(f"{base}/gone", timeout=60).status_code == 410

    content = os.urandom(3_000_000)
    assert client.put(f"{base}/put/sized", data=content, timeout=60).status_code == 201
    assert client.get(f"{base}/put/sized", timeout=60).content == content

    def pieces():
        for start in range(0, len(content), 70_001):
            yield content[start : start + 70_001]

    # A generator has no length: chunked.
    assert client.put(f"{base}/put/chunked", data=pieces(), timeout=60).status_code == 201
    with client.get(f"{base}/put/chunked", stream=True, timeout=60) as answer:
        assert b"".join(answer.iter_content(10_007)) == content
    assert client.delete(f"{base}/put/chunked", timeout=60).status_code == 204
