"""Calls the load generator's origin as grpcio does, and checks what comes back.

    grpc_client.py ADDRESS
"""

import sys
import time

import grpc

channel = grpc.insecure_channel(
    sys.argv[1],
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
)
call = channel.unary_unary("/test.Echo/Unary")

for message in [b"hello", b"", b"x" * 100_000, bytes(range(256)) * 8_000]:
    assert call(message, timeout=20) == message, len(message)

# Wishes go by metadata.
begun = time.monotonic()
assert len(call(b"a", metadata=[("x-wish", "size=70000&delay=50ms")])) == 70_000
assert time.monotonic() - begun >= 0.05

for wish, expected in [
    ("grpc-status=5", grpc.StatusCode.NOT_FOUND),
    ("grpc-status=UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    ("status=403", grpc.StatusCode.PERMISSION_DENIED),
    ("size=nonsense", grpc.StatusCode.INVALID_ARGUMENT),
]:
    try:
        call(b"a", metadata=[("x-wish", wish)], timeout=20)
        raise SystemExit(f"{wish} passed")
    except grpc.RpcError as error:
        assert error.code() == expected, (wish, error)

# More than the origin keeps of a message.
try:
    call(b"x" * (5 << 20), timeout=20)
    raise SystemExit("5 MiB passed")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error

# A deadline that passes cancels the stream, and the connection goes on.
try:
    call(b"a", metadata=[("x-wish", "delay=30s")], timeout=0.1)
    raise SystemExit("late and passed")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

# Many at a time.
calls = [call.future(b"%d" % number, timeout=20) for number in range(500)]
for number, future in enumerate(calls):
    assert future.result() == b"%d" % number

# A stream of messages comes back message by message.
stream = channel.stream_stream("/test.Echo/Stream")
messages = [b"%d" % number * number for number in range(50)]
assert list(stream(iter(messages), timeout=20)) == messages
print("ok")
