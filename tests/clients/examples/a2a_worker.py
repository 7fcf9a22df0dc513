"""An agent with an A2A server of its own, by the official SDK: its node hands it tasks there, in whatever domain they began.

usage: a2a_worker.py http://127.0.0.1:7400 ADMISSION_TOKEN 9100   (needs `endpoint_hosts = ["127.0.0.1:9100"]` in config.toml)
"""

import sys

import httpx
import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, Part, TaskState
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette

URL, ADMISSION, PORT = sys.argv[1:4]
PAYMENT = "urn:comity:a2a:payment:1"


def post(door, path, body, key="once"):
    answer = door.post(f"{URL}/api/v1/{path}", json=body, headers={"Idempotency-Key": key})
    return answer.json() if answer.is_success else sys.exit(answer.text)


class Counter(AgentExecutor):
    def __init__(self, door):
        self.door = door

    async def execute(self, context, queue):
        task = context.current_task or new_task_from_user_message(context.message)
        await queue.enqueue_event(task)
        updater = TaskUpdater(queue, task.id, task.context_id)
        await updater.update_status(TaskState.TASK_STATE_WORKING, new_text_message("counting"))
        result = f'{{"words":{len(context.get_user_input().split())}}}'
        paid = MessageToDict(context.message)["metadata"][PAYMENT]
        if "escrow" in paid:
            signed = {"escrow": paid["escrow"], "result": result, "home": paid["from"]["domain"]}
            post(self.door, "custody/errands", {"verb": "deliver", "arguments": signed}, key=paid["escrow"])
        await updater.add_artifact([Part(text=result)])
        await updater.complete()

    async def cancel(self, context, queue):
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


account = post(httpx.Client(headers={"Authorization": f"Bearer {ADMISSION}"}), "custody", {"nickname": "counter"})
door = httpx.Client(headers={"Authorization": f"Bearer {account['token']}"}, timeout=60)
post(door, "custody/card", {"name": "counter", "capabilities": ["text.count"], "price": "0.50"})
post(door, "endpoints", {"url": f"http://127.0.0.1:{PORT}/"})
card = AgentCard(name="counter", version="1", capabilities=AgentCapabilities(streaming=True))
handler = DefaultRequestHandler(Counter(door), InMemoryTaskStore(), card)
app = Starlette(routes=create_jsonrpc_routes(handler, "/"))
print("counter", account["agent"], flush=True)
uvicorn.run(app, host="127.0.0.1", port=int(PORT), log_level="warning")
