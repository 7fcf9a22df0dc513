"""Everything that the official A2A client can ask of an agent behind a node, in the same domain or in another one.

usage: a2a_life.py BINDING URL ADMISSION_TOKEN WORKER_URL WORKER_ADMISSION_TOKEN

BINDING is `JSONRPC`, `HTTP+JSON` or `GRPC`. The payer speaks to URL, the worker asks for work at WORKER_URL.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import sys

import grpc.aio
import httpx
import jwt
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.types import (CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
                       GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
                       ListTasksRequest, Message, Part, Role, SendMessageConfiguration, SendMessageRequest,
                       SubscribeToTaskRequest, TaskPushNotificationConfig, TaskState)
from a2a.utils.errors import (InvalidParamsError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError)
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from google.protobuf.json_format import MessageToDict

BINDING, URL, ADMISSION, WORKER_URL, WORKER_ADMISSION = sys.argv[1:6]
PAYMENT = "urn:comity:a2a:payment:1"
PREFIX = BINDING.lower().replace("+", "-")


def door(token):
    return httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)


async def post(http, url, path, body, key="once"):
    answer = await http.post(f"{url}/api/v1/{path}", json=body, headers={"Idempotency-Key": f"{PREFIX}-{key}"})
    assert answer.is_success, (path, answer.text)
    return answer.json()


async def errand(http, url, verb, key, **arguments):
    return await post(http, url, "custody/errands", {"verb": verb, "arguments": arguments}, key)


async def registered(url, admission, name):
    async with door(admission) as http:
        return await post(http, url, "custody", {"nickname": name}, name)


def channel(token):
    """Channels that show the token with every call."""
    def shown(details):
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
        return details._replace(metadata=metadata)

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, go_on, details, request):
            return await go_on(shown(details), request)

    class Stream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, go_on, details, request):
            return await go_on(shown(details), request)

    return lambda url: grpc.aio.insecure_channel(url, interceptors=[Unary(), Stream()])


class Worker:
    """The payee's side: asks its own node for work, by hand."""

    def __init__(self, http):
        self.http = http

    async def take(self):
        for _ in range(6):
            task = (await self.http.get(f"{WORKER_URL}/api/v1/tasks/next?wait_ms=5000")).json()["task"]
            if task:
                return task
        raise AssertionError("no task came")

    async def tell(self, task, kind, data=None):
        body = {"kind": kind, "data": data and (data if kind == "failed" else base64.b64encode(data).decode())}
        return await self.http.post(f"{WORKER_URL}/api/v1/tasks/{task['task']}/events", json=body)

    async def finish(self, task, result, amount=None):
        body = {"result": base64.b64encode(result).decode(), "amount": amount}
        await post(self.http, WORKER_URL, f"tasks/{task['task']}/finish", body)


class Hook:
    """A webhook: keeps what it is sent, and refuses the first of all."""

    def __init__(self):
        self.got, self.seen = asyncio.Queue(), 0

    async def answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.seen += 1
        status = "503 Busy" if self.seen == 1 else "200 OK"
        if self.seen > 1:
            await self.got.put((head, body))
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def said(words, key, **payment):
    message = Message(message_id=f"{PREFIX}-{key}", role=Role.ROLE_USER, parts=[Part(text=words)], context_id="talk")
    if payment:
        message.metadata.update({PAYMENT: payment})
    return message


async def one(client, message, **configuration):
    """A task, by a client that does not stream."""
    request = SendMessageRequest(message=message, configuration=SendMessageConfiguration(**configuration))
    return [event async for event in client.send_message(request)][-1].task


@contextlib.asynccontextmanager
async def refused(error):
    try:
        yield
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")


async def card_of(http, agent, config):
    """The card, found through the node's own agent and verified under the keys of the node's domain."""
    finder = await create_client(f"{URL}/a2a/node", ClientConfig(**config))
    base = None
    for _ in range(100):
        found = [event async for event in finder.send_message(SendMessageRequest(message=said("text.count", "find")))]
        agents = MessageToDict(found[-1].message)["parts"][1]["data"]["agents"]
        base = next((found["url"] for found in agents if found["agent"] == agent), None)
        if base:
            break
        await asyncio.sleep(0.1)
    assert base == f"{URL}/a2a/{agent}", agents
    keys = {key["kid"]: key for key in (await http.get(f"{URL}/.well-known/registry-jwks.json")).json()["keys"]}
    verify = create_signature_verifier(lambda kid, _: jwt.PyJWK(keys[kid]), ["EdDSA"])
    card = await A2ACardResolver(http, base).get_agent_card(signature_verifier=verify)
    own = await A2ACardResolver(http, URL).get_agent_card(signature_verifier=verify)
    assert own.supported_interfaces[0].url == f"{URL}/a2a/node", own
    forged = type(card)()
    forged.CopyFrom(card)
    forged.name = "somebody else"
    async with refused(InvalidSignaturesError):
        verify(forged)
    first = await http.get(f"{base}/.well-known/agent-card.json")
    again = await http.get(f"{base}/.well-known/agent-card.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304, again
    assert (await http.get(f"{URL}/.well-known/agent.json", follow_redirects=True)).json()["name"] == own.name
    return card, verify


async def paid(http, client, worker, agent):
    """A whole trade, streamed."""
    await errand(http, URL, "claim_faucet", "claim")
    words = "to be or not to be"
    escrow = (await errand(http, URL, "create_escrow", "lock", payee=agent, amount="0.50", task=words,
                           on_silence="refund"))["escrow"]
    stream = client.send_message(SendMessageRequest(message=said(words, "paid", escrow=escrow, deadlineMinutes=5)))
    first = (await anext(stream)).task
    assert (first.status.state, first.context_id) == (TaskState.TASK_STATE_SUBMITTED, "talk"), first
    assert first.history[0].parts[0].text == words, first
    task = await worker.take()
    assert (task["escrow"], base64.b64decode(task["body"]).decode()) == (escrow, words), task
    await worker.tell(task, "accepted")
    await worker.tell(task, "progress", b"counting")
    await errand(worker.http, WORKER_URL, "deliver", "deliver", escrow=escrow, result="6 words", home=task["from"]["domain"])
    await worker.tell(task, "result", b"6 ")
    await worker.finish(task, b"words", "0.50")
    events = [event async for event in stream]
    states = [event.status_update.status.state for event in events if event.HasField("status_update")]
    assert states == [TaskState.TASK_STATE_WORKING] * 2 + [TaskState.TASK_STATE_COMPLETED], states
    pieces = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert [(piece.artifact.parts[0].text, piece.append) for piece in pieces] == [("6 ", False), ("words", True)], pieces
    demand = MessageToDict(events[-1].status_update.metadata)[PAYMENT]["paymentRequest"]
    digest = hashlib.sha256(b"6 words").hexdigest()
    assert (demand["escrow"], demand["resultSha256"], demand["amount"]) == (escrow, digest, "500000"), demand
    await errand(http, URL, "release_funds", "release", escrow=escrow, verified_sha256=demand["resultSha256"])
    return first.id


async def asked_again(client, plain, worker, done):
    """What is known of tasks: one that ended, and one that goes on."""
    task = await client.get_task(GetTaskRequest(id=done))
    assert task.status.state == TaskState.TASK_STATE_COMPLETED and task.artifacts[0].parts[0].text == "6 words", task
    assert not (await client.get_task(GetTaskRequest(id=done, history_length=0))).history
    async with refused(TaskNotFoundError):
        await client.get_task(GetTaskRequest(id="00" * 16))
    async with refused(TaskNotCancelableError):
        await client.cancel_task(CancelTaskRequest(id=done))
    async with refused(UnsupportedOperationError):
        [event async for event in client.subscribe(SubscribeToTaskRequest(id=done))]
    async with refused(UnsupportedOperationError):
        more = said("and then?", "more")
        more.task_id = done
        await one(plain, more)
    open_one = await one(plain, said("slowly", "slow"), return_immediately=True)
    assert open_one.status.state == TaskState.TASK_STATE_SUBMITTED, open_one
    assert (await one(plain, said("slowly", "slow"), return_immediately=True)).id == open_one.id, "the same message"
    async with refused(InvalidParamsError if BINDING == "JSONRPC" else Exception):
        await one(plain, said("otherwise", "slow"), return_immediately=True)
    stream = client.subscribe(SubscribeToTaskRequest(id=open_one.id))
    assert (await anext(stream)).task.id == open_one.id
    work = await worker.take()
    await worker.tell(work, "accepted")
    assert (await anext(stream)).status_update.status.state == TaskState.TASK_STATE_WORKING
    listed = await client.list_tasks(ListTasksRequest(page_size=1))
    assert (listed.tasks[0].id, listed.total_size) == (open_one.id, 2) and listed.next_page_token, listed
    rest = await client.list_tasks(ListTasksRequest(page_size=1, page_token=listed.next_page_token, include_artifacts=True))
    assert rest.tasks[0].id == done and rest.tasks[0].artifacts and not rest.next_page_token, rest
    working = await client.list_tasks(ListTasksRequest(status=TaskState.TASK_STATE_WORKING, context_id="talk"))
    assert [task.id for task in working.tasks] == [open_one.id], working
    assert not (await client.list_tasks(ListTasksRequest(context_id="other"))).tasks
    canceled = await client.cancel_task(CancelTaskRequest(id=open_one.id))
    assert canceled.status.state == TaskState.TASK_STATE_CANCELED, canceled
    assert (await anext(stream)).status_update.status.state == TaskState.TASK_STATE_CANCELED
    assert (await worker.tell(work, "progress", b"still here")).status_code == 409, "the worker learns it"


async def pushed(client, plain, worker):
    hook = Hook()
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    told = TaskPushNotificationConfig(url=url, token="secret-of-mine")
    task = await one(plain, said("push", "push"), return_immediately=True, task_push_notification_config=told)
    configs = (await client.list_task_push_notification_configs(ListTaskPushNotificationConfigsRequest(task_id=task.id))).configs
    assert [(config.url, config.token) for config in configs] == [(url, "secret-of-mine")], configs
    spare = await client.create_task_push_notification_config(TaskPushNotificationConfig(task_id=task.id, id="spare", url=url))
    assert spare.id == "spare", spare
    known = GetTaskPushNotificationConfigRequest(task_id=task.id, id="spare")
    assert (await client.get_task_push_notification_config(known)).url == url
    await client.delete_task_push_notification_config(DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="spare"))
    async with refused(TaskNotFoundError):
        await client.get_task_push_notification_config(known)
    async with refused(InvalidParamsError):
        inside = TaskPushNotificationConfig(task_id=task.id, url="http://169.254.169.254/latest")
        await client.create_task_push_notification_config(inside)
    work = await worker.take()
    await worker.tell(work, "accepted")
    await worker.tell(work, "failed", "it cannot be done")
    states = []
    while not states or states[-1] != "TASK_STATE_FAILED":
        head, body = await asyncio.wait_for(hook.got.get(), 20)
        assert "x-a2a-notification-token: secret-of-mine" in head, head
        states.append(body["statusUpdate"]["status"]["state"])
    assert states == ["TASK_STATE_WORKING", "TASK_STATE_FAILED"] and hook.seen == 3, (states, hook.seen)
    server.close()


async def main():
    payer = await registered(URL, ADMISSION, "payer")
    hired = await registered(WORKER_URL, WORKER_ADMISSION, "worker")
    agent = hired["agent"]
    async with door(payer["token"]) as http, door(hired["token"]) as own:
        card = {"name": "counter", "capabilities": ["text.count"], "price": "0.50", "public": True}
        await post(own, WORKER_URL, "custody/card", card)
        worker = Worker(own)
        config = dict(httpx_client=http, supported_protocol_bindings=[BINDING],
                      grpc_channel_factory=channel(payer["token"]))
        found, verify = await card_of(http, agent, config)
        client = await create_client(found, ClientConfig(**config))
        plain = await create_client(found, ClientConfig(streaming=False, **config))
        extended = await client.get_extended_agent_card(GetExtendedAgentCardRequest(), signature_verifier=verify)
        assert MessageToDict(extended)["capabilities"]["extensions"][0]["params"]["verifiedBy"], extended
        named = agent if URL == WORKER_URL else f"{agent}@{(await http.get(f'{URL}/api/v1/cards/{agent}')).json()['home']}"
        done = await paid(http, client, worker, named)
        await asked_again(client, plain, worker, done)
        await pushed(client, plain, worker)
    print(f"{BINDING}: task {done} done and paid")


asyncio.run(main())
