#!/usr/bin/env python3
"""Exhaustive model of ONE payment from domain A (payer) to domain B (payee).

Each domain is one replicated state machine: a step is one committed log entry, so a
crash or a leader change loses nothing durable and only shows up as resending.
The network is a grow-only set of messages: any message already sent may be delivered
at any later time, any number of times, in any order, or never. Timers may fire at any
time (no assumption about clocks). That covers loss, duplication, reordering, arbitrary
delay, partitions and crash-restart of either side.

Books (unit amount): A has payer `avail`, `hold`, `bridge`; B has payee `credit`.
Safety, checked in every reachable state
  conservation   avail + hold + bridge == 1
  supply         credit <= hold + bridge     (a credited unit is never back with the payer)
  exactly once   credit <= 1
  agreement      never A=COMMITTED while B has refused for good
Progress, checked over the whole graph
  EF-done        from every reachable state some path still reaches a settled state
Blocking: states a domain cannot leave on its own (without the other side's message).
"""
import sys
from collections import deque

# state: (a_state, b_state, avail, hold, bridge, credit, frozenset(messages))


def steps(p, s):
    """Yields (label, next_state, local) for protocol p; local = needs no message."""
    a, b, av, ho, br, cr, m = s

    def A(na, dav=0, dho=0, dbr=0, send=(), label="", local=False):
        return (label, (na, b, av + dav, ho + dho, br + dbr, cr, m | set(send)), local, "A")

    def B(nb, dcr=0, send=(), label="", local=False):
        return (label, (a, nb, av, ho, br, cr + dcr, m | set(send)), local, "B")

    out = []
    fam = p["family"]
    if fam in ("a_decides", "last_agent"):
        # ---- A: payer side, the only one that decides
        if a == "NONE":
            if fam == "a_decides":
                out.append(A("LOCKED", -1, +1, 0, ["PREPARE"], "A locks, sends PREPARE", True))
            else:
                out.append(A("NONE", 0, 0, 0, ["PREPARE"], "A sends PREPARE (no record)", True))
        if a == "LOCKED":
            out.append(A("ABORTED", +1, -1, 0, ["ABORT"], "A deadline: decides ABORT", True))
            if "PREPARED" in m:
                out.append(A("COMMITTED", 0, -1, +1, ["COMMIT"], "A gets PREPARED: decides COMMIT"))
            if "REJECT" in m:
                out.append(A("ABORTED", +1, -1, 0, ["ABORT"], "A gets REJECT: decides ABORT"))
        if fam == "last_agent" and a == "NONE":
            if "PREPARED" in m:
                out.append(A("COMMITTED", -1, 0, +1, ["COMMIT"], "A gets PREPARED: debit+COMMIT in one entry"))
            out.append(A("ABORTED", 0, 0, 0, ["ABORT"], "A deadline: writes ABORT", True))
        if "QUERY" in m:
            if a == "COMMITTED":
                out.append(A(a, send=["COMMIT"], label="A answers QUERY: COMMIT"))
            elif a == "ABORTED":
                out.append(A(a, send=["ABORT"], label="A answers QUERY: ABORT"))
            elif a == "PRUNED":
                out.append(A(a, send=["ABORT"], label="A has no record: presumes ABORT"))
            elif a == "GONE":
                out.append(A(a, send=["TOO_OLD"], label="A finished it long ago: TOO_OLD, never a decision"))
            elif a == "NONE" and (fam == "last_agent" or p.get("restore")):
                if p.get("tombstone", True):
                    out.append(A("ABORTED", send=["ABORT"], label="A no record: writes ABORT tombstone"))
                else:
                    out.append(A("NONE", send=["ABORT"], label="A no record: answers ABORT, writes nothing"))
        if a == "COMMITTED":
            if "ACK" in m:
                out.append(A("SETTLED", label="A gets ACK: settled"))
        # an ABORT that overtook its PREPARE is acknowledged too, so an aborted record can be closed and forgotten
        if a == "ABORTED" and "ACK_ABORT" in m:
            out.append(A("CLOSED", label="A gets the ACK of its ABORT: closed"))
        if p.get("forget") and a in ("SETTLED", "CLOSED"):
            out.append(A("GONE", label="A forgets a finished record behind the watermark", local=True))
        if p.get("restore") and a == "LOCKED":
            out.append(A("NONE", +1, -1, 0, label="A loses the tail of its log", local=True))
        if a == "COMMITTED":
            if p.get("prune_early"):
                out.append(A("PRUNED", label="A prunes the decision before ACK", local=True))
        # ---- B: payee side, promises and obeys
        if b == "NONE" and "PREPARE" in m:
            out.append(B("PREPARED", send=["PREPARED"], label="B prepares"))
            out.append(B("REJECTED", send=["REJECT"], label="B rejects"))
        if b == "NONE" and "ABORT" in m:
            out.append(B("ABORTED", send=["ACK_ABORT"], label="B gets ABORT before PREPARE: tombstone"))
        if b == "PREPARED":
            if "COMMIT" in m:
                out.append(B("CREDITED", +1, ["ACK"], "B gets COMMIT: credits once"))
            if "ABORT" in m:
                out.append(B("ABORTED", send=["ACK_ABORT"], label="B gets ABORT"))
            out.append(B("PREPARED", send=["QUERY"], label="B asks A (no state change)", local=True))
            if p.get("b_timeout"):
                out.append(B("ABORTED", label="B stale-intent worker rolls back", local=True))
        if b == "CREDITED" and "COMMIT" in m:
            out.append(B("CREDITED", send=["ACK"], label="B gets COMMIT again: re-ACK"))
        if b == "ABORTED" and ("ABORT" in m or "PREPARE" in m) and not p.get("b_timeout"):
            out.append(B("ABORTED", send=["ACK_ABORT"], label="B gets ABORT or PREPARE again: re-ACK"))
        # behind the watermark: the origin must have closed, or be at its own deadline long since
        if p.get("forget") and b in ("CREDITED", "ABORTED") and a in ("SETTLED", "CLOSED", "GONE"):
            out.append(B("GONE", label="B forgets a finished record behind the watermark", local=True))
        if b == "GONE" and "PREPARE" in m:
            if p.get("watermark", True):
                out.append(B("GONE", send=["TOO_OLD"], label="B gets an old PREPARE: TOO_OLD"))
            else:
                out.append(B("PREPARED", send=["PREPARED"], label="B has no watermark: prepares again"))
    elif fam == "b_decides":
        # escrow and claim: B's log orders RECV against EXPIRE, A refunds only on B's certificate
        if a == "NONE":
            out.append(A("ESCROWED", -1, +1, 0, ["PACKET"], "A escrows, sends PACKET", True))
        if a == "ESCROWED":
            if "ACK" in m:
                out.append(A("SETTLED", 0, -1, +1, label="A gets ACK: posts"))
            if "NONRECEIPT" in m:
                out.append(A("REFUNDED", +1, -1, 0, label="A gets B's non-receipt certificate: refunds"))
            if p.get("a_timeout"):
                out.append(A("REFUNDED", +1, -1, 0, label="A stale-intent worker rolls back", local=True))
        if b == "NONE":
            if "PACKET" in m:
                out.append(B("CREDITED", +1, ["ACK"], "B receives: credits once"))
            out.append(B("EXPIRED", send=["NONRECEIPT"], label="B writes EXPIRED receipt", local=True))
        if b == "CREDITED" and "PACKET" in m:
            out.append(B(b, send=["ACK"], label="B re-ACKs"))
    elif fam == "seed72h":
        # the third seed as written: lock both, fire phase 2, worker rolls back stale intents
        if a == "NONE":
            out.append(A("INTENT", -1, +1, 0, ["P1"], "A intent: locks", True))
        if a == "INTENT":
            if "P1OK" in m:
                out.append(A("INTENT", send=["P2"], label="A fires phase 2"))
            if "P2OK" in m:
                out.append(A("SETTLED", 0, -1, +1, label="A gets phase-2 ack: posts"))
            out.append(A("ABORTED", +1, -1, 0, label="A worker: 72 h stale, unlocks", local=True))
        if b == "NONE" and "P1" in m:
            out.append(B("INTENT", send=["P1OK"], label="B intent"))
        if b == "INTENT":
            if "P2" in m:
                out.append(B("CREDITED", +1, ["P2OK"], "B phase 2: credits"))
            out.append(B("ABORTED", label="B worker: 72 h stale, drops", local=True))
    return [(l, n, loc, side) for (l, n, loc, side) in out if n != s]


DONE = {("SETTLED", "CREDITED"), ("ABORTED", "ABORTED"), ("ABORTED", "NONE"), ("ABORTED", "REJECTED"),
        ("REFUNDED", "EXPIRED"), ("REFUNDED", "NONE"), ("NONE", "NONE"), ("NONE", "REJECTED"), ("NONE", "EXPIRED"),
        ("NONE", "ABORTED"), ("CLOSED", "ABORTED"), ("SETTLED", "GONE"), ("CLOSED", "GONE"), ("GONE", "CREDITED"),
        ("GONE", "ABORTED"), ("GONE", "GONE")}


def bad(s):
    a, b, av, ho, br, cr, _ = s
    # credit is backed when the unit has left the payer for good (posted) or is still held for this payment
    if av + ho + br != 1:
        return "conservation broken"
    if cr > 1:
        return "credited twice"
    if cr > br + ho:
        return "money created: payee credited and payer has it back"
    if (a in ("COMMITTED", "SETTLED", "PRUNED") or br == 1) and b in ("ABORTED", "EXPIRED"):
        return "money lost: payer debited for good, payee side refuses"
    return None


def run(p):
    init = ("NONE", "NONE", 1, 0, 0, 0, frozenset())
    prev, q, order = {init: None}, deque([init]), []
    fault = None
    while q:
        s = q.popleft()
        order.append(s)
        why = bad(s)
        if why:
            fault = fault or (why, s)
            continue  # one fault is enough; behind it credits may grow without end
        for label, n, _, _ in steps(p, s):
            n = n[:6] + (frozenset(n[6]),)
            if n not in prev:
                prev[n] = (s, label)
                q.append(n)
    succ = {s: [] if bad(s) else [n[:6] + (frozenset(n[6]),) for _, n, _, _ in steps(p, s)] for s in order}
    good = {s for s in order if (s[0], s[1]) in DONE and not bad(s) and s[0] != "NONE"}
    changed = True
    can = set(good)
    while changed:
        changed = False
        for s in order:
            if s not in can and any(n in can for n in succ[s]):
                can.add(s)
                changed = True
    stuck = [s for s in order if s not in can and (s[0], s[1]) not in DONE]
    # blocked: holds something and every exit from that side's state needs the other side's message
    ab, bb = set(), set()
    for s in order:
        st = steps(p, s)
        if s[3] and not any(side == "A" and loc and n[0] != s[0] for _, n, loc, side in st):
            ab.add(s[0])
        if s[1] in ("PREPARED", "INTENT") and not any(side == "B" and loc and n[1] != s[1] for _, n, loc, side in st):
            bb.add(s[1])
    print(f"\n== {p['name']}\n   states {len(order)}; safety: {'OK' if not fault else 'VIOLATED - ' + fault[0]}; "
          f"progress: {'OK' if not stuck else str(len(stuck)) + ' states can never settle'}")
    print(f"   payer money can wait on the other side in: {sorted(ab) or 'no state'}; "
          f"payee side waits in: {sorted(bb) or 'no state'}")
    if fault:
        path, s = [], fault[1]
        while prev[s]:
            path.append(prev[s][1])
            s = prev[s][0]
        for i, l in enumerate(reversed(path), 1):
            print(f"     {i}. {l}")
    return fault is None and not stuck


CASES = [
    ({"name": "recommended: A decides, hold first", "family": "a_decides"}, True),
    ({"name": "recommended, fast path: last agent (debit and decide in one entry)", "family": "last_agent"}, True),
    ({"name": "alternative: B decides, refund only on B's non-receipt certificate", "family": "b_decides"}, True),
    ({"name": "third seed as written: 72 h worker on both sides", "family": "seed72h"}, False),
    ({"name": "broken variant: prepared B times out by itself", "family": "a_decides", "b_timeout": True}, False),
    ({"name": "finished records forgotten behind a watermark", "family": "a_decides", "forget": True}, True),
    ({"name": "origin loses an undecided transfer, tombstone before the answer", "family": "a_decides", "restore": True}, True),
    ({"name": "both: forgetting and a lost log tail", "family": "a_decides", "forget": True, "restore": True}, True),
    ({"name": "broken variant: lost log tail, QUERY answered ABORT without a tombstone", "family": "a_decides", "restore": True,
      "tombstone": False}, False),
    ({"name": "broken variant: finished records forgotten without a watermark", "family": "a_decides", "forget": True,
      "watermark": False}, False),
    ({"name": "broken variant: B decides, A refunds on its own clock", "family": "b_decides", "a_timeout": True}, False),
    ({"name": "broken variant: decision pruned before ACK, then presumed abort", "family": "a_decides", "prune_early": True}, False),
    ({"name": "broken variant: last agent, QUERY answered ABORT without a tombstone", "family": "last_agent", "tombstone": False}, False),
]

if __name__ == "__main__":
    ok = True
    for p, expect in CASES:
        ok &= run(p) == expect
    print("\nall cases as expected" if ok else "\nUNEXPECTED RESULT")
    sys.exit(0 if ok else 1)
