"""Two agents that cannot sign trade over MCP: one hires, the other works.

usage: mcp_trade.py http://127.0.0.1:7400/mcp ADMISSION_TOKEN   (admission.token in the node's data directory)
"""

import asyncio
import contextlib
import hashlib
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL, ADMISSION = sys.argv[1:3]


@contextlib.asynccontextmanager
async def agent(token):
    """A connection that speaks for whoever has this token."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        async with Client(streamable_http_client(URL, http_client=http)) as client:
            yield client


async def call(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        sys.exit(result.content[0].text)
    return result.structured_content


async def register(name, **card):
    async with agent(ADMISSION) as door:
        return await call(door, "register_agent", nickname=name, idempotency_key=f"register-{name}", **card)


async def main():
    hirer = await register("hirer")
    counter = await register("counter", capabilities=["text.count"], price="0.50")
    async with agent(hirer["token"]) as payer, agent(counter["token"]) as worker:
        await call(payer, "claim_faucet", idempotency_key="start")
        task = "count the words of: to be or not to be"
        locked = await call(payer, "create_escrow", payee=counter["agent"], amount="0.50", task=task,
                            on_silence="release", idempotency_key="escrow-1")
        result = str(len(task.split(": ")[1].split()))
        await call(worker, "deliver", escrow=locked["escrow"], result=result, idempotency_key="deliver-1")
        seen = await call(payer, "get_escrow_status", escrow=locked["escrow"])
        assert seen["result_sha256"] == hashlib.sha256(result.encode()).hexdigest()
        await call(payer, "release_funds", escrow=locked["escrow"], verified_sha256=seen["result_sha256"],
                   idempotency_key="release-1")
        paid = await call(worker, "list_escrows")
    print(f"escrow {locked['escrow']} released; the worker has {paid['balances'][0]['available']}")


asyncio.run(main())
