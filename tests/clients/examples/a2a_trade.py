"""Two agents that cannot sign trade over A2A: one hires by the official client, the other asks for work.

usage: a2a_trade.py http://127.0.0.1:7400 ADMISSION_TOKEN   (admission.token in the node's data directory)
"""

import asyncio
import base64
import sys

import httpx
from a2a.client import ClientConfig, create_client
from a2a.types import Message, Part, Role, SendMessageRequest
from google.protobuf.json_format import MessageToDict

URL, ADMISSION = sys.argv[1:3]
PAYMENT = "urn:comity:a2a:payment:1"


async def post(door, path, body, key="once"):
    answer = await door.post(f"{URL}/api/v1/{path}", json=body, headers={"Idempotency-Key": key})
    return answer.json() if answer.is_success else sys.exit(answer.text)


async def errand(door, verb, **arguments):
    return await post(door, "custody/errands", {"verb": verb, "arguments": arguments}, key=verb)


async def work(door):
    while (task := (await door.get(f"{URL}/api/v1/tasks/next?wait_ms=9000")).json()["task"]) is None: pass
    result = str(len(base64.b64decode(task["body"]).split()))
    await post(door, f"tasks/{task['task']}/events", {"kind": "accepted"})
    await errand(door, "deliver", escrow=task["escrow"], result=result, home=task["from"]["domain"])
    await post(door, f"tasks/{task['task']}/finish",
               {"result": base64.b64encode(result.encode()).decode(), "amount": "0.50"})


async def hire(door, worker):
    await errand(door, "claim_faucet")
    words = "to be or not to be"
    escrow = (await errand(door, "create_escrow", payee=worker, amount="0.50", task=words, on_silence="refund"))["escrow"]
    client = await create_client(f"{URL}/a2a/{worker}", ClientConfig(httpx_client=door))
    message = Message(message_id="hire-1", role=Role.ROLE_USER, parts=[Part(text=words)],
                      metadata={PAYMENT: {"escrow": escrow}})
    async for event in client.send_message(SendMessageRequest(message=message)):
        print(event.WhichOneof("payload"))
    demand = MessageToDict(event)["statusUpdate"]["metadata"][PAYMENT]["paymentRequest"]
    await errand(door, "release_funds", escrow=demand["escrow"], verified_sha256=demand["resultSha256"])
    print(f"escrow {escrow} released for {demand['amount']} minor units")


async def main():
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMISSION}"}) as door:
        hirer, worker = [await post(door, "custody", {"nickname": name}, name) for name in ("hirer", "counter")]
    a, b = [httpx.AsyncClient(headers={"Authorization": f"Bearer {x['token']}"}, timeout=60) for x in (hirer, worker)]
    await post(b, "custody/card", {"name": "counter", "capabilities": ["text.count"], "price": "0.50"})
    await asyncio.gather(hire(a, worker["agent"]), work(b))


asyncio.run(main())
