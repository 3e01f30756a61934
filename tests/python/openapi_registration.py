"""Holds the registration API against its own description.

Arguments: the address of the admin interface, a token, the description as it is kept in the
repository. Sends a request for every path, method and status of the description; each answer must
have a declared status, the declared fields, and a body that its schema allows. What cannot be
provoked from here is named below, and nothing else may be missing.
"""

import http.client
import json
import sys
import time

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

address, token, path = sys.argv[1:]
with open(path) as file:
    kept = json.load(file)

# A disk that fails and a user of a Unix socket: unit tests of the API have them. An instance of
# another proxy: the tests with etcd do.
NOT_PROVOKED = {"503", "403", "409"}

seen = set()


def send(method, path, body=None, fields=None, authorised=True):
    connection = http.client.HTTPConnection(address, timeout=30)
    fields = dict(fields or {})
    if authorised:
        fields["Authorization"] = f"Bearer {token}"
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    connection.request(method, path, body=body, headers=fields)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


response, content = send("GET", "/v1/openapi.json", authorised=False)
served = json.loads(content)
assert served == kept, "what is served is not what is kept"
validate(served)


def resolve(node):
    while "$ref" in node:
        target = served
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def validator(schema):
    return Draft202012Validator({**schema, "components": served["components"]})


def check(template, method, status, **values):
    """Sends what provokes `status` and compares the answer with the description."""
    request = values.pop("request", {})
    path = template.format(**{"service": "orders", "id": "a", **values})
    response, content = send(method.upper(), path, **request)
    where = f"{method} {path}: {response.status} {content[:300]!r}"
    assert response.status == status, f"expected {status}: {where}"
    declared = served["paths"][template][method]["responses"].get(str(status))
    assert declared is not None, f"not described: {where}"
    seen.add((template, method, str(status)))
    for name in declared.get("headers", {}):
        assert response.getheader(name), f"no {name}: {where}"
    if "content" not in declared:
        assert content == b"", where
        return None
    assert response.getheader("content-type") == "application/json", where
    document = json.loads(content)
    schema = declared["content"]["application/json"]["schema"]
    errors = list(validator(schema).iter_errors(document))
    assert not errors, f"{where}: {errors[0].message}"
    if status >= 400:
        assert document["error"]["message"]
    return document


LIST = "/v1/services/{service}/instances"
ONE = LIST + "/{id}"
RENEW, DRAIN = ONE + "/renew", ONE + "/drain"
FULL = {
    "address": "127.0.0.1:8000",
    "weight": 3,
    "metadata": {"zone": "a"},
    "ttl": "1m",
    "check": {"tcp": True, "interval": "1s", "timeout": "1s"},
}
registration = validator(resolve({"$ref": "#/components/schemas/Registration"}))

# Every field of a registration is taken, and what the schema refuses the API refuses as well.
assert not list(registration.iter_errors(FULL))
check(ONE, "put", 201, request={"body": FULL})
document = check(ONE, "put", 200, request={"body": FULL})
assert {key: document[key] for key in FULL} == FULL, document
check(ONE, "get", 200)
for key, wrong in [
    ("address", 1), ("weight", -1), ("weight", 1.5), ("weight", 100001), ("metadata", []),
    ("metadata", {"a": 1}), ("ttl", "soon"), ("ttl", 1), ("check", {}), ("check", {"http": "x"}),
    ("check", {"tcp": True, "http": "/"}), ("id", "a b"), ("unknown", 1),
]:
    body = {**FULL, key: wrong}
    assert list(registration.iter_errors(body)), f"the schema takes {key} = {wrong}"
    document = check(ONE, "put", 400, request={"body": body})
    assert document["error"]["field"].startswith(key), document
    assert document["error"]["expected"], document
assert list(registration.iter_errors({}))
check(ONE, "put", 400, request={"body": {}})
check(LIST, "post", 201, request={"body": {"address": "127.0.0.1:8001"}})
check(LIST, "post", 200, request={"body": {"address": "127.0.0.1:8001"}})
check(LIST, "post", 400, request={"body": "{"})
check(RENEW, "post", 200)
check(DRAIN, "post", 200)
check("/v1/openapi.json", "get", 200)
check("/v1/services", "get", 200)
check("/v1/services/{service}", "get", 200)
check("/v1/services/{service}", "get", 400, service="a%20b")
for template, method in [(ONE, "get"), (ONE, "delete"), (RENEW, "post"), (DRAIN, "post")]:
    check(template, method, 400, id="a%20b")
    check(template, method, 404, id="nobody")
for template, method in [(LIST, "post"), (ONE, "put")]:
    too_large = json.dumps({"address": "x" * 40000})
    check(template, method, 413, request={"body": too_large})
    plain = {"Content-Type": "text/plain"}
    check(template, method, 415, request={"body": "{}", "fields": plain})
changes = [
    (LIST, "post", FULL), (ONE, "put", FULL), (ONE, "delete", None), (RENEW, "post", None),
    (DRAIN, "post", None),
]
for template, method, body in changes:
    check(template, method, 401, request={"body": body, "authorised": False})
check(ONE, "delete", 204)

# A lease of a second, and then no heartbeat.
check(ONE, "put", 201, request={"body": {"address": "127.0.0.1:8000", "ttl": "1s"}})
deadline = time.monotonic() + 30
while send("GET", ONE.format(service="orders", id="a"))[0].status == 200:
    assert time.monotonic() < deadline, "the lease does not run out"
for template, method in [(ONE, "get"), (ONE, "delete"), (RENEW, "post"), (DRAIN, "post")]:
    check(template, method, 410)

# No room: the proxy of this test takes three instances.
for number in range(2):
    body = {"address": f"127.0.0.1:900{number}"}
    check(LIST, "post", 201, request={"body": body})
check(LIST, "post", 507, request={"body": {"address": "127.0.0.1:9009"}})
check(ONE, "put", 507, id="full", request={"body": FULL})

# A flood: each kind of change is refused sooner or later, whoever else it is that asks.
for template, method, body in changes:
    deadline = time.monotonic() + 60
    while (template, method, "429") not in seen:
        assert time.monotonic() < deadline, f"no 429 for {method} {template}"
        try:
            check(template, method, 429, service="flood", request={"body": body})
        except AssertionError as error:
            assert str(error).startswith("expected 429"), error

described = {
    (template, method, status)
    for template, methods in served["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
    for status in operation["responses"]
}
missing = {entry for entry in described - seen if entry[2] not in NOT_PROVOKED}
assert not missing, f"described and never seen: {sorted(missing)}"
print(f"{len(seen)} answers as described")
