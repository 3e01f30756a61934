"""GETs / over TLS and says whether the end of the connection was announced by close_notify.

usage: tls_end.py CA-FILE PORT NAME
"""

import socket
import ssl
import sys

ca, port, name = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
raw = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
with trust.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False) as connection:
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
print(received.decode(), "announced")
