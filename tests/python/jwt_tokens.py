"""Keys and tokens by the Python package PyJWT, for a proxy that has to tell them apart.

    jwt_tokens.py ISSUER AUDIENCE [NAME...]

Prints a JSON object: `sets`, for each NAME (default: `first`) a key set with a key of every type;
`tokens`, for each NAME a token of every algorithm, and under `wrong` tokens that nobody may accept.
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = sys.argv[1:3]
NAMES = sys.argv[3:] or ["first"]
NOW = int(time.time())
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "alice",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 3600,
    "realm": {"roles": ["reader", "writer"]},
}


def encode(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Signer:
    """A key of every type."""

    def __init__(self, name):
        self.name = name
        self.keys = {
            "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "P-256": ec.generate_private_key(ec.SECP256R1()),
            "P-384": ec.generate_private_key(ec.SECP384R1()),
            "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        }

    def kind(self, algorithm):
        return {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}.get(algorithm, "RSA")

    def jwk(self, algorithm):
        kind = self.kind(algorithm)
        maker = jwt.get_algorithm_by_name(algorithm)
        jwk = maker.to_jwk(self.keys[kind].public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        return {**jwk, "kid": f"{self.name}-{kind}"}

    def key_set(self):
        return {"keys": [self.jwk(each) for each in ("RS256", "ES256", "ES384", "EdDSA")]}

    def token(self, algorithm, claims=None, **header):
        kind = self.kind(algorithm)
        header = {"kid": f"{self.name}-{kind}", **header}
        return jwt.encode({**CLAIMS, **(claims or {})}, self.keys[kind], algorithm, header)


def hmac_token(secret, header):
    signed = encode(json.dumps(header).encode()) + "." + encode(json.dumps(CLAIMS).encode())
    tag = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encode(tag)}"


def wrong(signer, stranger):
    """By what is wrong: the reason that the proxy has to count, and the token."""
    public = signer.keys["RSA"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    whole = signer.token("ES256")
    head, payload, signature = whole.split(".")
    unsecured = encode(json.dumps({"alg": "none"}).encode())
    other = encode(json.dumps({**CLAIMS, "sub": "root"}).encode())
    return {
        "none": ("token_algorithm", f"{unsecured}.{payload}.AA"),
        "none_unsigned": ("credentials_malformed", jwt.encode(CLAIMS, None, "none")),
        "hs256_pem": ("token_algorithm", hmac_token(public, {"alg": "HS256", "kid": "first-RSA"})),
        "rs256_hmac": ("token_signature", hmac_token(public, {"alg": "RS256", "kid": "first-RSA"})),
        "stranger": ("token_signature", stranger.token("ES256", kid="first-P-256")),
        "embedded_jwk": (
            "token_signature",
            stranger.token("ES256", kid="first-P-256", jwk=stranger.jwk("ES256")),
        ),
        "unknown_kid": ("token_key_unknown", stranger.token("ES256")),
        "payload": ("token_signature", f"{head}.{other}.{signature}"),
        "two_parts": ("credentials_malformed", f"{head}.{payload}"),
        "crit": ("credentials_malformed", signer.token("ES256", crit=["b64"], b64=True)),
        "expired": ("token_expired", signer.token("ES256", {"exp": NOW - 61})),
        "early": ("token_not_yet_valid", signer.token("ES256", {"nbf": NOW + 3600})),
        "issuer": ("token_issuer", signer.token("ES256", {"iss": ISSUER + "/"})),
        "audience": ("token_audience", signer.token("ES256", {"aud": ["a", "b"]})),
        "large": ("credentials_malformed", signer.token("ES256", {"x": "y" * 4096})),
    }


ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
signers = [Signer(name) for name in NAMES]
json.dump(
    {
        "sets": {each.name: each.key_set() for each in signers},
        "tokens": {
            each.name: {algorithm: each.token(algorithm) for algorithm in ALGORITHMS}
            for each in signers
        },
        "wrong": wrong(signers[0], Signer("stranger")),
    },
    sys.stdout,
)
