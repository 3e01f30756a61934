"""An origin by the Python package h2, which notices every frame that breaks HTTP/2.

    h2_origin.py CONNECTIONS

Prints its port, serves so many connections one after the other, and prints for each how many
requests it answered, or what the client did wrong. Its answers have all that is allowed: fields in
the dynamic table, padding, CONTINUATION, interim heads, trailers, PINGs, changing windows.
"""

import socket
import sys
import zlib

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings


def answer(connection, stream, number, content):
    """Answers with the length and CRC-32 of the content, dressed differently each time."""
    told = b"%d %08x" % (len(content), zlib.crc32(content))
    fields = [(":status", "200"), ("content-length", str(len(told))), ("x-number", str(number))]
    if number % 3 == 0:
        connection.send_headers(stream, [(":status", "103"), ("link", "</a>; rel=preload")])
    if number % 5 == 0:
        # More than one frame holds, and more than the table does.
        fields += [(f"x-long-{at}", f"{number}" * 1000) for at in range(8)]
    if number % 7 == 0:
        connection.ping(b"%08d" % number)
    connection.send_headers(stream, fields)
    padding = number % 4 * 60 or None
    connection.send_data(stream, told[:3], pad_length=padding)
    if number % 2:
        connection.send_data(stream, told[3:], end_stream=True, pad_length=padding)
    else:
        connection.send_data(stream, told[3:])
        connection.send_headers(stream, [("x-trailer", str(number))], end_stream=True)


def serve(client):
    connection = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    settings = {
        SettingCodes.MAX_CONCURRENT_STREAMS: 10,
        SettingCodes.INITIAL_WINDOW_SIZE: 1000,
    }
    connection.local_settings = Settings(client=False, initial_values=settings)
    connection.initiate_connection()
    client.sendall(connection.data_to_send())
    contents, answered = {}, 0
    while received := client.recv(65536):
        events = connection.receive_data(received)
        # A request that was given up in the same breath cannot be answered any more.
        resets = [event for event in events if isinstance(event, StreamReset)]
        assert all(event.error_code == ErrorCodes.CANCEL for event in resets), resets
        given_up = {event.stream_id for event in resets}
        for event in events:
            if getattr(event, "stream_id", 0) in given_up:
                continue
            if isinstance(event, RequestReceived):
                contents[event.stream_id] = b""
            elif isinstance(event, DataReceived):
                contents[event.stream_id] += event.data
                connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            elif isinstance(event, StreamEnded):
                answered += 1
                content = contents.pop(event.stream_id)
                answer(connection, event.stream_id, answered, content)
                if answered % 1000 == 500:
                    # Windows of streams that are open move, even below zero.
                    size = 500 if answered % 2000 < 1000 else 3000
                    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        client.sendall(connection.data_to_send())
    return answered


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
for _ in range(int(sys.argv[1])):
    client, _ = listener.accept()
    try:
        print(serve(client), flush=True)
    except ConnectionError as error:
        print(f"broke off: {error}", flush=True)
    except (ProtocolError, AssertionError) as error:
        print(repr(error), flush=True)
    finally:
        client.close()
