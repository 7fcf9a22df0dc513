"""A whole escrow between two agents that cannot sign, through the official client of the Model Context Protocol.

usage: mcp_life.py URL ADMISSION_TOKEN MODE REVISION [COMITY]

MODE is `auto` or `legacy` (client 2.x), `initialize` (client 1.x) or `stdio` (client 2.x over `COMITY mcp`).
REVISION is what both sides must agree on.
"""

import asyncio
import contextlib
import hashlib
import os
import sys

URL, ADMISSION, MODE, REVISION = sys.argv[1:5]
CHANGES = {"create_escrow", "release_funds", "dispute_escrow", "register_agent", "claim_faucet", "deliver",
           "refund_escrow", "send_task", "transfer"}
READS = {"get_escrow_status", "list_escrows", "search_agents"}


@contextlib.asynccontextmanager
async def connected(token):
    """One connection with this token, and the revision agreed on."""
    headers = {"Authorization": f"Bearer {token}"}
    from mcp.client.streamable_http import streamable_http_client
    if MODE == "initialize":
        import httpx
        from mcp import ClientSession
        async with httpx.AsyncClient(headers=headers, timeout=60) as http:
            async with streamable_http_client(URL, http_client=http) as (read, write, _):
                async with ClientSession(read, write) as session:
                    yield session, (await session.initialize()).protocolVersion
        return
    from mcp import Client
    if MODE == "stdio":
        from mcp import StdioServerParameters
        api = URL.removesuffix("/mcp")
        command = StdioServerParameters(command=sys.argv[5], args=["--api", api, "mcp"],
                                        env={**os.environ, "COMITY_TOKEN": token})
        async with Client(command) as client:
            yield client, client.protocol_version
        return
    import httpx2
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client(URL, http_client=http), mode=MODE) as client:
            yield client, client.protocol_version


async def call(session, tool, **arguments):
    """What a tool answered, and whether it refused."""
    result = await session.call_tool(tool, arguments)
    refused = result.isError if MODE == "initialize" else result.is_error
    answer = result.structuredContent if MODE == "initialize" else result.structured_content
    assert result.content[0].text, "every answer is a sentence too"
    return answer, bool(refused)


async def must(session, tool, **arguments):
    answer, refused = await call(session, tool, **arguments)
    assert not refused, (tool, answer)
    return answer


async def registered(name, **card):
    async with connected(ADMISSION) as (session, revision):
        assert revision == REVISION, (revision, REVISION)
        made = await must(session, "register_agent", nickname=name, idempotency_key=f"{MODE}-{name}", **card)
        again, refused = await call(session, "register_agent", nickname=name, idempotency_key=f"{MODE}-{name}", **card)
        assert refused and again["code"] == "account_opened_before", again
        assert made["custody"] == "operator_can_spend", made
        return made["agent"], made["token"]


async def prompted(session, escrow):
    """Prompts with the caller's words and escrows in them, and what an argument may go on to be."""
    listed = {prompt.name: prompt for prompt in (await session.list_prompts()).prompts}
    assert set(listed) == {"hire_agent", "settle_escrow", "offer_service"}, listed
    words = {argument.name: "1.00" for argument in listed["hire_agent"].arguments}
    assert "1.00" in (await session.get_prompt("hire_agent", words)).messages[-1].content.text
    first = (await session.get_prompt("settle_escrow", {"escrow": escrow[:9]})).messages[0].content
    assert str(first.resource.uri) == f"comity://escrow/{escrow}" and "released" in first.resource.text, first
    from mcp.types import PromptReference
    known = await session.complete(PromptReference(type="ref/prompt", name="settle_escrow"),
                                   {"name": "escrow", "value": escrow[:3]})
    assert escrow in known.completion.values, known


async def waited(session, worker_id):
    """A task that nobody takes: the call says what it is at while it waits."""
    lock = await must(session, "create_escrow", payee=worker_id, amount="0.10", task="wait", on_silence="refund",
                      idempotency_key="lock-3")
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, message))

    wish = dict(to=worker_id, escrow=lock["escrow"], capability="text.count", task="wait", wait_seconds=10,
                idempotency_key="send")
    result = await session.call_tool("send_task", wish, progress_callback=hear)
    assert '"sent"' in result.model_dump_json(), result
    assert [progress for progress, _ in heard] == list(range(1, len(heard) + 1)), heard
    assert heard[0][1].endswith("is on its way") and heard[1][1] == "still at work", heard


async def trade(payer, worker, worker_id):
    for session in (payer, worker):
        await must(session, "claim_faucet", idempotency_key="claim")
    terms = dict(payee=worker_id, amount="0.50", task="count words", on_silence="refund", idempotency_key="lock")
    escrow = (await must(payer, "create_escrow", **terms))["escrow"]
    assert (await must(payer, "create_escrow", **terms))["escrow"] == escrow, "a retry is the same escrow"
    other, refused = await call(payer, "create_escrow", **{**terms, "amount": "0.60"})
    assert refused and (other["code"], other["changed"]) == ("idempotency_key_reused", "no"), other
    assert (await must(payer, "get_escrow_status", escrow=escrow))["state"] == "locked"
    await must(worker, "deliver", escrow=escrow, result="two", idempotency_key="deliver")
    seen = await must(payer, "get_escrow_status", escrow=escrow)
    digest = hashlib.sha256(b"two").hexdigest()
    assert (seen["state"], seen["result_sha256"]) == ("submitted", digest), seen
    for _ in range(2):
        await must(payer, "release_funds", escrow=escrow, verified_sha256=digest, idempotency_key="release")
    assert (await must(worker, "get_escrow_status", escrow=escrow))["state"] == "released"
    listed = await must(worker, "list_escrows")
    assert listed["balances"][0]["available"] == "1.495", listed
    back = dict(terms, amount="0.10", idempotency_key="lock-2")
    second = (await must(payer, "create_escrow", **back))["escrow"]
    await must(worker, "refund_escrow", escrow=second, idempotency_key="refund")
    assert (await must(payer, "list_escrows"))["balances"][0]["available"] == "0.50"
    poor, refused = await call(payer, "transfer", to=worker_id, amount="9.00", idempotency_key="too-much")
    assert refused and poor["code"] == "insufficient_funds" and poor["next"], poor
    return escrow


async def life():
    payer_id, payer_token = await registered("payer")
    worker_id, worker_token = await registered("worker", capabilities=["text.count"], price="0.50")
    async with connected(payer_token) as (payer, _), connected(worker_token) as (worker, _):
        tools = {tool.name for tool in (await payer.list_tools()).tools}
        assert tools == CHANGES | READS, tools
        escrow = await trade(payer, worker, worker_id)
        found = await must(payer, "search_agents", capability="text.count")
        assert worker_id in {agent["agent"].split("@")[0] for agent in found["agents"]}, found
        assert all(agent["custody"] == "operator_can_spend" for agent in found["agents"]), found
        await prompted(payer, escrow)
        await waited(payer, worker_id)
        listed = (await payer.list_resources()).resources
        assert f"comity://escrow/{escrow}" in {str(resource.uri) for resource in listed}, listed
        read = await payer.read_resource(f"comity://card/{worker_id}")
        assert "operator_can_spend" in read.contents[0].text, read
        assert payer_id != worker_id
    print(f"{MODE} {REVISION}: escrow {escrow} released")


asyncio.run(life())
