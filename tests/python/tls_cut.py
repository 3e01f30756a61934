"""Answers one request over TLS with content that ends with the connection: announced, or cut.

usage: tls_cut.py CHAIN-FILE KEY-FILE announced|cut
Prints the address it listens on; ends after one connection.
"""

import socket
import ssl
import sys

chain, key, how = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)
listener = socket.create_server(("127.0.0.1", 0))
print("%s:%d" % listener.getsockname(), flush=True)
raw, _ = listener.accept()
connection = context.wrap_socket(raw, server_side=True)
received = b""
while b"\r\n\r\n" not in received:
    received += connection.recv(65536)
connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nthe whole content")
if how == "announced":
    connection.unwrap().close()
else:
    # A FIN without close_notify: anybody on the way could have sent it.
    raw_again = socket.socket(fileno=connection.detach())
    raw_again.shutdown(socket.SHUT_RDWR)
    raw_again.close()
