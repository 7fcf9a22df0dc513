"""An escrow as linked data and a payee's signed demand, judged by libraries that share no code with the node.

usage: documents_verify.py URL ADMISSION_TOKEN
"""

import base64
import hashlib
import json
import sys
import urllib.error
import urllib.request

import rfc8785
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64encode
from jsonschema import Draft202012Validator
from pyld import jsonld

URL, ADMISSION = sys.argv[1:3]
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
fetched = []


def ask(path, token=None, body=None, key="once", accept="application/json"):
    """Status, media type and JSON."""
    headers = {"Accept": accept, "Idempotency-Key": key}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/api/v1/{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=70) as answer:
            return answer.status, answer.headers.get_content_type(), json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers.get_content_type(), json.load(answer)


def must(path, token, body=None, key="once"):
    status, _, document = ask(path, token, body, key)
    assert status == 200, (path, document)
    return document


def errand(token, verb, **arguments):
    return must("custody/errands", token, {"verb": verb, "arguments": arguments}, key=verb)


def only_from_the_node(url, options):
    """Loads a context, if it is the node's own."""
    assert url.startswith(f"{URL}/"), f"{url} is fetched from somewhere else"
    fetched.append(url)
    status, kind, document = ask(url.removeprefix(f"{URL}/api/v1/"))
    assert (status, kind) == (200, "application/ld+json"), (status, kind)
    return {"contentType": kind, "contextUrl": None, "documentUrl": url, "document": document}


jsonld.set_document_loader(only_from_the_node)


def linked(escrow, token):
    status, kind, document = ask(f"escrows/{escrow}", token, accept="application/ld+json")
    assert (status, kind) == (200, "application/ld+json"), (status, kind, document)
    back = jsonld.compact(jsonld.expand(document), document["@context"])
    assert back == document, f"{back} is not {document}"
    quads = jsonld.normalize(document, {"algorithm": "URDNA2015", "format": "application/n-quads"})
    return document, quads


def key_of(did):
    """The public key in a did:key, as a library wants it."""
    number = 0
    for letter in did.removeprefix("did:key:z"):
        number = number * 58 + ALPHABET.index(letter)
    raw = number.to_bytes(34, "big")
    assert raw[:2] == b"\xed\x01", did
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(raw[2:]).decode()})


def judged(demand, schema):
    Draft202012Validator(schema).validate(demand)
    unsigned = {name: value for name, value in demand.items() if name != "signatures"}
    signature = demand["signatures"][0]
    payload = urlsafe_b64encode(rfc8785.dumps(unsigned)).decode()
    compact = f"{signature['protected']}.{payload}.{signature['signature']}"
    jws.deserialize_compact(compact, key_of(demand["key"]), algorithms=["EdDSA"])


(_, _, alice), (_, _, bob) = [ask("custody", ADMISSION, {"nickname": name}, name) for name in ("alice", "bob")]
alice, payer, bob, payee = alice["token"], alice["agent"], bob["token"], bob["agent"]
must("custody/card", bob, {"name": "bob", "capabilities": ["text.count"], "price": "0.50"})
errand(alice, "claim_faucet")
words = "to be or not to be"
escrow = errand(alice, "create_escrow", payee=payee, amount="0.50", task=words, on_silence="refund")["escrow"]
document, quads = linked(escrow, alice)
assert document["payer"] == f"urn:comity:agent:{payer}" and document["amount"]["minorUnits"] == "500000", document
assert '"500000"^^<http://www.w3.org/2001/XMLSchema#integer>' in quads, quads
assert all(isinstance(document[name]["minorUnits"], str) for name in ("amount", "open", "paid", "fee")), document

message = {"messageId": "hire", "role": "ROLE_USER", "parts": [{"text": words}],
           "metadata": {"urn:comity:a2a:payment:1": {"escrow": escrow}}}
call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage",
        "params": {"message": message, "configuration": {"returnImmediately": True}}}
request = urllib.request.Request(f"{URL}/a2a/{payee}", json.dumps(call).encode(), {
    "Authorization": f"Bearer {alice}", "Content-Type": "application/json", "A2A-Version": "1.0"})
task = json.load(urllib.request.urlopen(request, timeout=70))["result"]["task"]["id"]
assert must("tasks/next?wait_ms=20000", bob)["task"]["task"] == task
must(f"tasks/{task}/events", bob, {"kind": "accepted"})
errand(bob, "deliver", escrow=escrow, result="6 words")
result = base64.b64encode(b"6 words").decode()
must(f"tasks/{task}/finish", bob, {"result": result, "amount": "0.50"})
seen = {"ended": False}
while not seen["ended"]:
    seen = must(f"tasks/{task}/events?wait_ms=5000", alice)
demand = seen["payment_request"]
judged(demand, ask("schemas/payment_request")[2])
assert (demand["escrow"], demand["amount"]) == (escrow, "500000"), demand
assert demand["resultSha256"] == hashlib.sha256(b"6 words").hexdigest(), demand
held = must("payment-requests", alice, demand)
assert held["submitted"] and held["result_sha256"] == demand["resultSha256"], held
status, _, forged = ask("payment-requests", alice, {**demand, "amount": "900000"})
assert (status, forged["code"]) == (422, "payment_request_refused"), forged

errand(alice, "release_funds", escrow=escrow, verified_sha256=held["result_sha256"])
document, _ = linked(escrow, bob)
assert (document["state"], document["open"]["minorUnits"]) == ("released", "0"), document
print(f"equal after the round trip, {len(fetched)} contexts from the node, demand good")
