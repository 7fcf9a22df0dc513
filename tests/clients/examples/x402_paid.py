"""A paid HTTP route between two agents of one domain: FastAPI and httpx with x402's own middleware and client.

usage: x402_paid.py NODE_URL ADMISSION_TOKEN
"""

import asyncio
import socket
import sys
import threading

import httpx
import uvicorn
from fastapi import FastAPI
from fed_escrow import payer, server
from x402.http.clients import wrapHttpxWithPayment
from x402.http.middleware.fastapi import payment_middleware
from x402.http.utils import decode_payment_response_header

NODE, ADMISSION = sys.argv[1:3]


def registered(name):
    headers = {"Authorization": f"Bearer {ADMISSION}", "Idempotency-Key": name}
    made = httpx.post(f"{NODE}/api/v1/custody", json={"nickname": name}, headers=headers).raise_for_status().json()
    claim = {"verb": "claim_faucet", "arguments": {}}
    own = {"Authorization": f"Bearer {made['token']}", "Idempotency-Key": "claim"}
    httpx.post(f"{NODE}/api/v1/custody/errands", json=claim, headers=own).raise_for_status()
    return made["agent"], made["token"]


def serving(agent, token):
    """The seller: one route, 0.25 a call."""
    app, (paid, network) = FastAPI(), server(NODE, token)
    option = {"scheme": "fed-escrow", "payTo": agent, "price": "0.25", "network": network}
    app.middleware("http")(payment_middleware({"GET /joke": {"accepts": option}}, paid))
    app.get("/joke")(lambda: {"joke": "two generals agreed"})
    door = socket.create_server(("127.0.0.1", 0))
    thread = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    threading.Thread(target=thread.run, kwargs={"sockets": [door]}, daemon=True).start()
    return f"http://127.0.0.1:{door.getsockname()[1]}"


async def main():
    url = serving(*registered("seller"))
    async with wrapHttpxWithPayment(payer(NODE, registered("buyer")[1]), timeout=60) as http:
        answer = await http.get(f"{url}/joke")
    told = decode_payment_response_header(answer.headers["payment-response"])
    print(answer.json()["joke"], "for", told.amount, "minor units, escrow", told.extra["state"])


asyncio.run(main())
