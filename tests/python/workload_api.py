"""A SPIFFE Workload API by grpcio, whose messages are encoded by hand.

Arguments: the socket, and a file that says what to answer, as JSON; a file that is replaced is a
new answer on every stream. Prints `ready`, then a line for each call: `asked`, or `refused` for one
without the metadata that the Workload Endpoint demands (section 3).

    {"status": "PERMISSION_DENIED", "message": "..."}
    {"svids": [{"id": "spiffe://...", "svid": "svid.pem", "bundle": "bundle.pem", "hint": "..."}],
     "federated": {"spiffe://...": "bundle.pem"},
     "revoked": {"authority": "authority.pem", "certificates": ["svid.pem"]}}

`junk` in place of a path stands for bytes that are no DER.
"""

import base64
import datetime
import json
import os
import re
import sys
import time
from concurrent import futures

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

METHOD = "/SpiffeWorkloadAPI/FetchX509SVID"


def field(number, content):
    """A field of a protobuf message that is a string of bytes."""
    key, length = bytes([number << 3 | 2]), len(content)
    count = b""
    while length > 127:
        count += bytes([length & 127 | 128])
        length >>= 7
    return key + count + bytes([length]) + content


def der(path, label):
    """The blocks of a PEM file with this label, one DER after the other."""
    if path == "junk":
        return b"no DER at all"
    with open(path) as file:
        text = file.read()
    pattern = f"-----BEGIN ([A-Z ]*{label})-----(.*?)-----END"
    blocks = re.findall(pattern, text, re.DOTALL)
    return b"".join(base64.b64decode(block) for _, block in blocks)


def svid(one):
    return (
        field(1, one["id"].encode())
        + field(2, der(one["svid"], "CERTIFICATE"))
        + field(3, der(one.get("key", one["svid"]), "PRIVATE KEY"))
        + field(4, der(one["bundle"], "CERTIFICATE"))
        + field(5, one.get("hint", "").encode())
    )


def revocations(said):
    with open(said["authority"], "rb") as file:
        pem = file.read()
    authority = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key(pem, None)
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now - datetime.timedelta(minutes=5))
        .next_update(now + datetime.timedelta(days=1))
        .add_extension(x509.CRLNumber(int(time.time())), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
    )
    for path in said["certificates"]:
        with open(path, "rb") as file:
            serial = x509.load_pem_x509_certificate(file.read()).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def answer(said):
    message = b"".join(field(1, svid(one)) for one in said.get("svids", []))
    if "revoked" in said:
        message += field(2, revocations(said["revoked"]))
    for domain, bundle in said.get("federated", {}).items():
        entry = field(1, domain.encode()) + field(2, der(bundle, "CERTIFICATE"))
        message += field(3, entry)
    return message


class WorkloadApi(grpc.GenericRpcHandler):
    def __init__(self, path):
        self.path = path

    def service(self, call):
        if call.method != METHOD:
            return None
        metadata = dict(call.invocation_metadata)
        is_allowed = metadata.get("workload.spiffe.io") == "true"
        print("asked" if is_allowed else "refused", flush=True)
        return grpc.unary_stream_rpc_method_handler(self.stream if is_allowed else self.refuse)

    def refuse(self, _message, context):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing")

    def stream(self, message, context):
        if message != b"":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a request with fields")
        seen = None
        while context.is_active():
            found = os.stat(self.path).st_ino, os.stat(self.path).st_mtime_ns
            if found != seen:
                seen = found
                with open(self.path) as file:
                    said = json.load(file)
                if "status" in said:
                    context.abort(grpc.StatusCode[said["status"]], said.get("message", ""))
                yield answer(said)
            time.sleep(0.02)


socket, said = sys.argv[1:]
if os.path.exists(socket):
    os.unlink(socket)
grpc_server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
grpc_server.add_generic_rpc_handlers((WorkloadApi(said),))
grpc_server.add_insecure_port(f"unix:{socket}")
grpc_server.start()
print("ready", flush=True)
grpc_server.wait_for_termination()
