"""Payments through x402's own client, middleware and facilitator client, with the adapter of the examples.

usage: x402_life.py NODE_URL ADMISSION_TOKEN
"""

import asyncio
import base64
import json
import pathlib
import socket
import sys
import threading
import time

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException

sys.path.insert(0, str(pathlib.Path(__file__).parent / "examples"))
from fed_escrow import facilitator, payer, server  # noqa: E402
from x402 import PaymentPayload, PaymentRequirements  # noqa: E402
from x402.http.clients import wrapHttpxWithPayment  # noqa: E402
from x402.http.middleware.fastapi import payment_middleware  # noqa: E402
from x402.http.utils import decode_payment_response_header  # noqa: E402

NODE, ADMISSION = sys.argv[1:3]
PRICE, FEE = 250_000, 2_500


class Account:
    def __init__(self, name):
        made = self.post("custody", {"nickname": name}, ADMISSION, name)
        self.agent, self.token = made["agent"], made["token"]
        self.errand("claim_faucet", "claim")

    @staticmethod
    def post(path, body, token, key):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return httpx.post(f"{NODE}/api/v1/{path}", json=body, headers=headers, timeout=60).raise_for_status().json()

    def errand(self, verb, key, **arguments):
        return self.post("custody/errands", {"verb": verb, "arguments": arguments}, self.token, key)

    def has(self):
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.get(f"{NODE}/api/v1/accounts/{self.agent}", headers=headers).raise_for_status()
        return int(answer.json()["balances"][0]["available"])


class Shop:
    """A resource server: one route that works, and one that does not."""

    def __init__(self, seller):
        self.served = 0
        paid, self.network = server(NODE, seller.token)
        option = {"scheme": "fed-escrow", "payTo": seller.agent, "price": "0.25", "network": self.network}
        app = FastAPI()
        routes = {route: {"accepts": option} for route in ("GET /good", "GET /bad")}
        app.middleware("http")(payment_middleware(routes, paid))
        app.get("/good")(self.good)
        app.get("/bad")(self.bad)
        door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{door.getsockname()[1]}"
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        threading.Thread(target=running.run, kwargs={"sockets": [door]}, daemon=True).start()

    async def good(self):
        self.served += 1
        return {"word": "good"}

    async def bad(self):
        self.served += 1
        raise HTTPException(500, "no luck today")


async def pays(shop, buyer, seller):
    """Lock, handler, release; and the same payment once more buys nothing."""
    sent = []

    async def remember(request):
        sent.append(request.headers.get("payment-signature"))

    client = payer(NODE, buyer.token)
    async with wrapHttpxWithPayment(client, timeout=60) as http:
        http._transport._transport = Spy(http._transport._transport, remember)
        answer = await http.get(f"{shop.url}/good")
    assert answer.status_code == 200 and answer.json() == {"word": "good"}, answer.text
    told = decode_payment_response_header(answer.headers["payment-response"])
    assert told.success and told.extra["phase"] == "release" and told.extra["state"] == "released", told
    assert (told.payer, told.amount) == (buyer.agent, str(PRICE)), told
    assert (buyer.has(), seller.has()) == (1_000_000 - PRICE, 1_000_000 + PRICE - FEE)
    async with httpx.AsyncClient(timeout=60) as plain:
        again = await plain.get(f"{shop.url}/good", headers={"PAYMENT-SIGNATURE": sent[-1]})
    assert again.status_code == 402 and shop.served == 1, (again.status_code, again.text)
    assert seller.has() == 1_000_000 + PRICE - FEE
    return json.loads(base64.b64decode(sent[-1]))


class Spy(httpx.AsyncBaseTransport):
    def __init__(self, inner, seen):
        self.inner, self.seen = inner, seen

    async def handle_async_request(self, request):
        await self.seen(request)
        return await self.inner.handle_async_request(request)


async def gives_back(shop, buyer, seller):
    before = buyer.has(), seller.has()
    async with wrapHttpxWithPayment(payer(NODE, buyer.token), timeout=60) as http:
        answer = await http.get(f"{shop.url}/bad")
    assert answer.status_code == 500, answer
    told = decode_payment_response_header(answer.headers["payment-response"])
    assert told.success and (told.extra["phase"], told.extra["state"]) == ("refund", "refunded"), told
    assert (buyer.has(), seller.has()) == before, "a handler that fails costs nothing"


def payment(shop, buyer, seller, seconds=120, amount=1_000):
    wanted = PaymentRequirements(scheme="fed-escrow", network=shop.network, asset="USD", amount=str(amount),
                                 pay_to=seller.agent, max_timeout_seconds=seconds)
    client = payer(NODE, buyer.token)
    inner = client._schemes["fed:*"]["fed-escrow"].create_payment_payload(wanted)
    return wanted, inner


def payload(wanted, inner, **more):
    return PaymentPayload(payload={**inner, **more}, accepted=wanted)


async def repeats(shop, buyer, seller):
    """However often a lock comes, it never releases; and a release pays once."""
    node, before = facilitator(NODE, seller.token), (buyer.has(), seller.has())
    wanted, inner = payment(shop, buyer, seller)
    good = await node.verify(payload(wanted, inner), wanted)
    assert good.is_valid and good.payer == buyer.agent, good
    early = await node.settle(payload(wanted, inner, phase="release"), wanted)
    assert not early.success and early.error_reason == "unknown_escrow", early
    lock = payload(wanted, inner, phase="lock", attempt="mine")
    locked = [await node.settle(lock, wanted) for _ in range(2)]
    locked += await asyncio.gather(*(node.settle(lock, wanted) for _ in range(4)))
    assert all(one.success and one.extra["state"] == "accepted" for one in locked), locked
    assert len({one.transaction for one in locked}) == 1
    assert (buyer.has(), seller.has()) == (before[0] - 1_000, before[1]), "locked once, paid to nobody"
    used = await node.verify(payload(wanted, inner), wanted)
    assert not used.is_valid and used.invalid_reason == "payment_used", used
    for more, reason in (({}, "phase_missing"), ({"phase": "lock"}, "phase_missing"), ({"phase": "pay"}, "phase_missing"),
                         ({"phase": "lock", "attempt": "another"}, "payment_used")):
        refused = await node.settle(payload(wanted, inner, **more), wanted)
        assert not refused.success and refused.error_reason == reason, (more, refused)
    assert (buyer.has(), seller.has()) == (before[0] - 1_000, before[1])
    for _ in range(2):
        done = await node.settle(payload(wanted, inner, phase="release"), wanted)
        assert done.success and done.amount == "1000" and done.extra["state"] == "released", done
    assert (buyer.has(), seller.has()) == (before[0] - 1_000, before[1] + 990)
    for more, reason in ((dict(phase="lock", attempt="mine"), "payment_used"), (dict(phase="refund"), "wrong_state")):
        late = await node.settle(payload(wanted, inner, **more), wanted)
        assert not late.success and late.error_reason == reason, late
    assert (buyer.has(), seller.has()) == (before[0] - 1_000, before[1] + 990)


async def refuses(shop, buyer, seller, stranger):
    node = facilitator(NODE, seller.token)
    wanted, inner = payment(shop, buyer, seller)
    more = wanted.model_copy(update={"amount": "2000"})
    other = wanted.model_copy(update={"pay_to": stranger.agent})
    for asked, accepted, reason in ((more, wanted, "bad_requirements"), (more, more, "payment_other_than_demanded"),
                                    (other, other, "payment_other_than_demanded")):
        judged = await node.verify(payload(accepted, inner), asked)
        assert not judged.is_valid and judged.invalid_reason == reason, judged
    swapped = {"lock": inner["release"], "release": inner["lock"]}
    cut = {**inner, "lock": inner["lock"][:-8] + "AAAAAAA="}
    for bad in (swapped, cut, {**inner, "lock": "?"}, {"lock": inner["lock"]}):
        judged = await node.verify(payload(wanted, bad), wanted)
        assert not judged.is_valid and judged.invalid_reason, judged
    lock = payload(wanted, inner, phase="lock", attempt="theft")
    for thief in (stranger, buyer):
        stolen = await facilitator(NODE, thief.token).settle(lock, wanted)
        assert not stolen.success and stolen.error_reason == "not_the_payee", stolen
    try:
        await facilitator(NODE, "f" * 64).settle(lock, wanted)
        raise AssertionError("an unknown token settles nothing")
    except ValueError as error:
        assert "401" in str(error), error
    rich, poor = payment(shop, buyer, seller, amount=90_000_000)
    judged = await node.verify(payload(rich, poor), rich)
    assert not judged.is_valid and judged.invalid_reason == "insufficient_funds", judged


async def times_out(shop, buyer, seller):
    node, before = facilitator(NODE, seller.token), (buyer.has(), seller.has())
    wanted, inner = payment(shop, buyer, seller, seconds=2)
    locked = await node.settle(payload(wanted, inner, phase="lock", attempt="slow"), wanted)
    assert locked.success and buyer.has() == before[0] - 1_000, locked
    begun = time.monotonic()
    while buyer.has() != before[0]:
        assert time.monotonic() - begun < 60, "time gives back"
        await asyncio.sleep(0.5)
    late = await node.settle(payload(wanted, inner, phase="release"), wanted)
    assert not late.success and late.error_reason == "wrong_state", late
    assert (buyer.has(), seller.has()) == before


async def main():
    buyer, seller, stranger = Account("buyer"), Account("seller"), Account("stranger")
    shop = Shop(seller)
    await pays(shop, buyer, seller)
    await gives_back(shop, buyer, seller)
    await repeats(shop, buyer, seller)
    await refuses(shop, buyer, seller, stranger)
    await times_out(shop, buyer, seller)
    print("paid, locked once, released once, given back")


asyncio.run(main())
