"""A gRPC server by grpcio: whatever method is called gets its message back, `Fail` an error.

Prints its port. `Slow` answers after 100 ms, `Length` with the length of the message.
"""

import time
from concurrent import futures

import grpc


class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        name = call.method.rsplit("/", 1)[-1]

        def answer(message, context):
            # The deadline that was sent: 10 s unless the caller says otherwise.
            remaining = context.time_remaining()
            if remaining is None or not 0 < remaining <= 10:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a deadline of {remaining}")
            if name == "Fail":
                context.abort(grpc.StatusCode.NOT_FOUND, "as asked: \u00fcber")
            if name == "Slow":
                time.sleep(0.1)
            if name == "Length":
                return str(len(message)).encode()
            return message

        return grpc.unary_unary_rpc_method_handler(answer)


server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=16),
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
)
server.add_generic_rpc_handlers((Echo(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
