"""Whole lives of escrows through the published agent-settlement client, unmodified, and the two probes that the reference
exchange fails.

usage: a2a_se_life.py URL ADMISSION_TOKEN ARBITER_TOKEN

URL is the base that the client is given: it appends `/v1/...` itself. Of ARBITER_TOKEN's account the node's operator has
said that it rules disputes here.
"""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
from a2a_settlement.client import SettlementExchangeClient
from a2a_settlement.lifecycle import settle_for_task_state
from a2a_settlement.metadata import build_settlement_metadata, get_settlement_block

URL, ADMISSION, ARBITER = sys.argv[1:4]


def client(token, **more):
    return SettlementExchangeClient(URL, api_key=token, timeout_s=60, **more)


def registered(name, **more):
    made = client(ADMISSION).register_account(bot_name=name, developer_id="dev", developer_name="Dev",
                                              contact_email="dev@example.com", **more)
    assert made["starter_tokens"] == 1_000_000 and "not shown again" in made["message"], made
    return made["account"]["id"], client(made["api_key"])


def refused(status, code, call, *args, **named):
    """The rule that refused, in the protocol's envelope and under the request's own id."""
    try:
        answer = call(*args, **named)
    except httpx.HTTPStatusError as error:
        told = error.response.json()["error"]
        assert (error.response.status_code, told["code"]) == (status, code), (error.response.status_code, told)
        sent = error.request.headers["x-request-id"]
        assert told["request_id"] == sent == error.response.headers["x-request-id"], told
        assert told["message"] and told["details"]["next"], told
        return told["details"]["rule"]
    raise AssertionError(f"not refused: {answer}")


def trade(payer, payer_id, worker, worker_id):
    """Create, deliver, release; every figure is the ledger's."""
    made = payer.create_escrow(provider_id=worker_id, amount=10_000, task_id="task-1", task_type="text.count",
                               ttl_minutes=20, group_id="group-1", idempotency_key="lock-1",
                               deliverables=[{"description": "a number"}])
    assert (made["requester_id"], made["provider_id"], made["status"]) == (payer_id, worker_id, "held"), made
    assert (made["amount"], made["fee_amount"], made["total_held"]) == (10_000, 101, 10_101), made
    assert made["group_id"] == "group-1" and made["effective_fee_percent"] == 1.01, made
    block = build_settlement_metadata(escrow_id=made["escrow_id"], amount=made["amount"], fee_amount=made["fee_amount"],
                                      exchange_url=URL, expires_at=made["expires_at"])
    assert get_settlement_block({"metadata": block})["escrowId"] == made["escrow_id"]
    balance = payer.get_balance()
    assert (balance["available"], balance["held_in_escrow"]) == (1_000_000 - 10_101, 10_101), balance
    delivered = worker.deliver(escrow_id=made["escrow_id"], content="six words")
    assert delivered["status"] == "held" and delivered["delivered_at"], delivered
    seen = payer.get_escrow(escrow_id=made["escrow_id"])
    assert (seen["status"], seen["task_id"], seen["amount"]) == ("held", "task-1", 10_000), seen
    assert seen["delivered_sha256"] == hashlib.sha256(b"six words").hexdigest(), seen
    done = settle_for_task_state(payer, task_state="TASK_STATE_COMPLETED", escrow_id=made["escrow_id"])
    assert (done["status"], done["amount_paid"], done["fee_collected"]) == ("released", 10_000, 101), done
    assert done["provider_id"] == worker_id and worker.get_balance()["available"] == 1_010_000, done
    again = payer.create_escrow(provider_id=worker_id, amount=10_000, task_id="task-1", task_type="text.count",
                                ttl_minutes=20, group_id="group-1", idempotency_key="lock-1",
                                deliverables=[{"description": "a number"}])
    assert again == made, "a retry is told what was made, whatever has become of it"
    rule = refused(400, "ESCROW_ALREADY_RESOLVED", payer.release_escrow, escrow_id=made["escrow_id"])
    assert rule == "wrong_state", rule
    return made["escrow_id"]


def refunds(payer, worker, worker_id):
    """Only the provider gives back, or time does."""
    made = payer.create_escrow(provider_id=worker_id, amount=500, task_id="task-2")
    assert refused(403, "NOT_AUTHORIZED", settle_for_task_state, payer, task_state="failed",
                   escrow_id=made["escrow_id"]) == "not_authorised"
    back = worker.refund_escrow(escrow_id=made["escrow_id"], reason="cannot be done", idempotency_key="refund-1")
    assert (back["status"], back["amount_returned"]) == ("refunded", made["total_held"]), back
    assert worker.refund_escrow(escrow_id=made["escrow_id"], reason="cannot be done", idempotency_key="refund-1") == back


def disputes(payer, payer_id, worker, worker_id):
    arbiter = client(ARBITER)
    for resolution, state in (("release", "released"), ("refund", "refunded")):
        made = payer.create_escrow(provider_id=worker_id, amount=700, task_id=f"task-{resolution}")
        early = dict(escrow_id=made["escrow_id"], reason="too early", stake_amount=10_000_000)
        assert refused(400, "WRONG_STATE", payer.dispute_escrow, **early) == "wrong_state"
        worker.deliver(escrow_id=made["escrow_id"], content="nonsense")
        assert refused(400, "ESCROW_NOT_DISPUTED", arbiter.resolve_escrow, escrow_id=made["escrow_id"],
                       resolution=resolution) == "wrong_state"
        told = payer.dispute_escrow(escrow_id=made["escrow_id"], reason="nonsense", stake_amount=10_000_000)
        assert (told["status"], told["reason"]) == ("disputed", "nonsense") and told["evidence_window_closes_at"], told
        seen = worker.get_escrow(escrow_id=made["escrow_id"])
        assert (seen["status"], seen["dispute_filed_by"]) == ("disputed", payer_id), seen
        assert seen["dispute_stake_amount"] == told["stake_amount"], seen
        assert refused(400, "WRONG_STATE", payer.release_escrow, escrow_id=made["escrow_id"]) == "wrong_state"
        for side in (payer, worker):
            refused(403, "NOT_AUTHORIZED", side.resolve_escrow, escrow_id=made["escrow_id"], resolution=resolution)
        ruled = arbiter.resolve_escrow(escrow_id=made["escrow_id"], resolution=resolution)
        assert (ruled["status"], ruled["resolution"]) == (state, resolution), ruled
        assert payer.get_escrow(escrow_id=made["escrow_id"])["status"] == state
        paid = ruled.get("amount_paid"), ruled.get("amount_returned")
        assert paid == ((700, None) if resolution == "release" else (None, made["total_held"])), ruled


def lists(payer, payer_id, worker_id, first):
    found = payer.list_escrows(task_id="task-1")
    assert (found["total"], found["escrows"][0]["id"], found["escrows"][0]["status"]) == (1, first, "released"), found
    assert payer.list_escrows(group_id="group-1")["total"] == 1
    assert payer.list_escrows(status="held")["total"] == 0 and payer.list_escrows(status="refunded")["total"] == 2
    assert len(payer.list_escrows(limit=1, offset=1)["escrows"]) == 1
    moved = payer.get_transactions()["transactions"]
    kinds = [item["type"] for item in moved]
    assert kinds.count("escrow_hold") == 4 and kinds.count("escrow_refund") == 2 and kinds[-1] == "deposit", kinds
    assert moved[0]["amount"] > 0 and {"id", "escrow_id", "created_at"} <= moved[0].keys(), moved[0]
    assert payer.get_transactions(limit=1, offset=1)["transactions"] == moved[1:2]
    found = payer.directory(skill="text.count")["bots"]
    assert [bot["id"] for bot in found] == [worker_id], found
    payer.update_skills(skills=["text.review"])
    assert payer.get_account(account_id=payer_id)["skills"] == ["text.review"]
    known = payer.get_account(account_id=worker_id)
    assert (known["bot_name"], known["status"], known["custody"]) == ("word-counter", "active", "operator_can_spend"), known
    assert refused(404, "ACCOUNT_NOT_FOUND", payer.get_account, account_id="nobody-of-that-name")


def probes(payer, payer_id, worker_id, stranger):
    """Six at once under one key; the same key by another account, without an account, and with another body."""
    before = payer.get_balance()
    wish = dict(provider_id=worker_id, amount=10, idempotency_key="probe")
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: payer.create_escrow(**wish), range(6)))
    assert all(one == made[0] for one in made), made
    after = payer.get_balance()
    assert before["available"] - after["available"] == after["held_in_escrow"] - before["held_in_escrow"] == 10, after
    assert payer.list_escrows(status="held")["total"] == 1
    own = stranger.create_escrow(**wish)
    assert own["escrow_id"] != made[0]["escrow_id"] and own["requester_id"] != payer_id, own
    refused(404, "ESCROW_NOT_FOUND", stranger.get_escrow, escrow_id=made[0]["escrow_id"])
    refused(404, "ESCROW_NOT_FOUND", stranger.release_escrow, escrow_id=made[0]["escrow_id"], idempotency_key="mine")
    refused(404, "ESCROW_NOT_FOUND", stranger.deliver, escrow_id=made[0]["escrow_id"], content="mine")
    for nobody in (client(None), client("f" * 64)):
        refused(401, "INVALID_API_KEY", nobody.create_escrow, **wish)
        refused(401, "INVALID_API_KEY", nobody.get_escrow, escrow_id=made[0]["escrow_id"])
        refused(401, "INVALID_API_KEY", nobody.register_account, bot_name="x", developer_id="x", developer_name="x",
                contact_email="x@example.com")
    refused(409, "IDEMPOTENCY_CONFLICT", payer.create_escrow, **{**wish, "amount": 11})
    refused(409, "IDEMPOTENCY_CONFLICT", payer.release_escrow, escrow_id=made[0]["escrow_id"], idempotency_key="probe")


def not_served(payer, worker_id, escrow):
    """What cannot be served honestly says so, and so does a field that could only be ignored."""
    for call in (
        lambda: payer.deposit(amount=5),
        lambda: payer.batch_create_escrow(escrows=[{"provider_id": worker_id, "amount": 5}]),
        lambda: payer.rotate_key(),
        lambda: payer.set_webhook(url="https://example.com/hook"),
        lambda: payer.delete_webhook(),
        lambda: payer.partial_release(escrow_id=escrow, release_percent=50),
        lambda: payer.submit_evidence(escrow_id=escrow, evidence_type="content", summary="s"),
        lambda: payer.list_evidence(escrow_id=escrow),
        lambda: payer.get_compliance_bundle(escrow_id=escrow),
        lambda: payer.stats(),
        lambda: payer.recent_activity(),
        lambda: payer.get_reputation(agent_id=worker_id),
    ):
        assert refused(501, "NOT_SUPPORTED", call) == "not_supported"
    for field in ({"depends_on": [escrow]}, {"required_attestation_level": "signed"}):
        refused(400, "NOT_SUPPORTED", payer.create_escrow, provider_id=worker_id, amount=5, **field)


def main():
    payer_id, payer = registered("Payer", idempotency_key="once")
    assert refused(409, "ACCOUNT_OPENED_BEFORE", client(ADMISSION).register_account, bot_name="Payer", developer_id="dev",
                   developer_name="Dev", contact_email="dev@example.com", idempotency_key="once")
    worker_id, worker = registered("Word Counter", skills=["text.count"], description="counts", daily_spend_limit=50)
    stranger_id, stranger = registered("Stranger")
    assert len({payer_id, worker_id, stranger_id}) == 3
    assert refused(403, "SPENDING_LIMIT", worker.create_escrow, provider_id=payer_id, amount=100) == "spending_limit"
    escrow = trade(payer, payer_id, worker, worker_id)
    refunds(payer, worker, worker_id)
    disputes(payer, payer_id, worker, worker_id)
    lists(payer, payer_id, worker_id, escrow)
    probes(payer, payer_id, worker_id, stranger)
    not_served(payer, worker_id, escrow)
    signed = client(payer.api_key, sign_requests=True)
    assert signed.get_escrow(escrow_id=escrow)["status"] == "released"
    print(json.dumps({"released": escrow}))


main()
