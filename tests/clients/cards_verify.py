"""The node's signed cards, judged by a JOSE library and an RFC 8785 library that share no code with it.

usage: cards_verify.py URL
"""

import hashlib
import json
import sys
import time

import httpx
import rfc8785
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64encode

URL = sys.argv[1]


def verified(document, keys):
    """The canonical bytes of a document whose signature is good."""
    unsigned = {name: value for name, value in document.items() if name != "signatures"}
    canonical = rfc8785.dumps(unsigned)
    signature = document["signatures"][0]
    compact = ".".join([signature["protected"], urlsafe_b64encode(canonical).decode(), signature["signature"]])
    header = jws.extract_compact(compact.encode()).headers()
    assert header["alg"] == "EdDSA" and not {"jwk", "jku", "x5u", "x5c"} & set(header), header
    jws.deserialize_compact(compact, OKPKey.import_key(keys[header["kid"]]), algorithms=["EdDSA"])
    return canonical


def refused(document, keys):
    try:
        verified(document, keys)
    except JoseError:
        return
    raise AssertionError("a changed card was taken")


def fetched(name):
    for _ in range(100):
        answer = httpx.get(f"{URL}/.well-known/{name}")
        # A domain that has just begun signs the card of itself within seconds.
        if answer.status_code != 503:
            return answer
        time.sleep(0.1)
    raise AssertionError(answer.text)


keys = {key["kid"]: key for key in fetched("registry-jwks.json").json()["keys"]}

agent = fetched("agent-card.json")
canonical = verified(agent.json(), keys)
assert agent.headers["etag"] == f'"{hashlib.sha256(canonical).hexdigest()}"', agent.headers
refused({**agent.json(), "name": "somebody else"}, keys)

domain = fetched("registry-card.json")
assert rfc8785.dumps(json.loads(domain.content)) == domain.content, "it is served in its canonical form"
verified(domain.json(), keys)
refused({**domain.json(), "nickname": "somebody else"}, keys)
print(f"{len(canonical)} and {len(domain.content)} canonical bytes, both signatures good")
