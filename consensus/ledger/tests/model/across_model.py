#!/usr/bin/env python3
"""Exhaustive model of ONE payment across: from an agent of B to an agent of C in money that A issues.

Three domains, each one replicated state machine: a step is one committed log entry. The network is the set of all
messages ever sent: each may arrive at any time, any number of times, or never; timers may fire at any time. B, the
origin, holds wrapped units of A's money; A, the issuer, holds reserve for them; C, the payee's domain, mints wrapped
units of its own against reserve that A holds for it.

Books of one unit
  B   avail, hold, burned      the payer's unit, in flight, gone for good
  A   res_b, held, res_c       reserve behind B's unit, held by a yes vote, behind C's unit
  C   minted
Safety, in every reachable state
  conservation   avail + hold + burned == 1, res_b + held + res_c == 1
  backed         minted <= res_c                     no unit of C without reserve for C
  backed         avail + hold <= res_b + held        no unit of B without reserve (an honest origin)
  all or nothing never committed while A or C has refused for good (an honest origin)
  exactly once   minted <= 1
A lying origin (it may say commit to one and abort to the other, or commit without votes) may strand its own unit and
nothing else: the first two lines hold whatever it does.
Progress: from every reachable state of honest domains some path reaches an end in which all three agree.
"""
import sys
from collections import deque

FIELDS = ("o", "a", "c", "votes", "acks", "avail", "hold", "burned", "res_b", "held", "res_c", "minted", "said")
START = ("NONE", "NONE", "NONE", frozenset(), frozenset(), 1, 0, 0, 1, 0, 0, 0, frozenset())


def change(s, say=(), **new):
    state = dict(zip(FIELDS, s))
    for name, value in new.items():
        state[name] = state[name] + value if isinstance(value, int) and name not in ("o", "a", "c") else value
    state["said"] = state["said"] | frozenset(say)
    return tuple(state[name] for name in FIELDS)


def steps(p, s):
    """Yields (label, next state)."""
    o, a, c, votes, acks = s[:5]
    said = s[12]
    out = []

    def go(label, say=(), **new):
        n = change(s, say, **new)
        if n != s:
            out.append((label, n))

    # ---- B, the origin: the only one that decides
    if o == "NONE":
        go("B begins", ["PREPARE"], o="OPEN", avail=-1, hold=1)
    if o == "OPEN":
        go("B decides ABORT at its deadline", ["ABORT"], o="ABORTED", hold=-1, avail=1)
        for who in "AC":
            if f"NO_{who}" in said:
                go(f"B hears no of {who}: ABORT", ["ABORT"], o="ABORTED", acks=acks | {who}, hold=-1, avail=1)
            if f"YES_{who}" in said and who not in votes:
                both = votes | {who}
                if both == {"A", "C"} or p.get("one_vote_is_enough"):
                    go(f"B hears yes of {who}: COMMIT", ["COMMIT"], o="COMMITTED", votes=both, hold=-1, burned=1)
                else:
                    go(f"B hears yes of {who}", votes=both)
    for who in "AC":
        if o == "COMMITTED" and f"ACK_{who}" in said and who not in acks:
            go(f"B hears that {who} posted", acks=acks | {who}, o="CLOSED" if acks | {who} == {"A", "C"} else o)
        if o == "ABORTED" and f"ACKABORT_{who}" in said and who not in acks:
            go(f"B hears that {who} dropped it", acks=acks | {who}, o="DROPPED" if acks | {who} == {"A", "C"} else o)
    if p.get("lying") and o in ("OPEN", "COMMITTED", "ABORTED"):
        go("B says commit to A alone", ["COMMIT_A"])
        go("B says commit to C alone", ["COMMIT_C"])
        go("B says abort to A alone", ["ABORT_A"])
        go("B says abort to C alone", ["ABORT_C"])
    commit = {who: "COMMIT" in said or f"COMMIT_{who}" in said for who in "AC"}
    abort = {who: "ABORT" in said or f"ABORT_{who}" in said for who in "AC"}

    # ---- A, the issuer: holds reserve for its yes, moves it at the commit, and tells C until C has minted
    if a == "NONE" and "PREPARE" in said:
        go("A votes yes", ["YES_A"], a="VOTED", res_b=-1, held=1)
        go("A votes no", ["NO_A"], a="REFUSED")
    if a == "NONE" and abort["A"]:
        go("A hears ABORT before PREPARE", ["ACKABORT_A"], a="ABORTED")
    if a == "VOTED" and commit["A"]:
        go("A moves the reserve to C", ["ACK_A", "BACKED"], a="BACKING", held=-1, res_c=1)
    if a == "VOTED" and abort["A"]:
        go("A gives the reserve back", ["ACKABORT_A"], a="ABORTED", held=-1, res_b=1)
    if a == "BACKING" and "MINTED" in said:
        go("A hears that C has minted", a="DONE")
    if a == "REFUSED" and abort["A"]:
        go("A hears ABORT after its no", ["ACKABORT_A"])

    # ---- C, the payee's domain: mints against the origin's commit and the issuer's word, both
    if c == "NONE" and "PREPARE" in said:
        go("C votes yes", ["YES_C"], c="VOTED")
        go("C votes no", ["NO_C"], c="REFUSED")
    if c == "NONE" and abort["C"]:
        go("C hears ABORT before PREPARE", ["ACKABORT_C"], c="ABORTED")
    if c == "VOTED" and commit["C"]:
        if p.get("mints_on_commit"):
            go("C mints on B's word alone", ["ACK_C", "MINTED"], c="DONE", minted=1)
        elif p.get("mints_on_acknowledgement_of_origin"):
            go("C believes B that A has moved it", ["ACK_C", "MINTED"], c="DONE", minted=1)
        else:
            go("C hears COMMIT and waits for A", c="UNBACKED")
    if c in ("UNBACKED", "VOTED") and "BACKED" in said and (c == "UNBACKED" or commit["C"]):
        go("C mints", ["ACK_C", "MINTED"], c="DONE", minted=1)
    if c == "VOTED" and abort["C"]:
        go("C drops its promise", ["ACKABORT_C"], c="ABORTED")
    if c == "UNBACKED" and p.get("gives_up_waiting_for_backing"):
        go("C gives up waiting for A", ["ACKABORT_C"], c="ABORTED")
    if c == "REFUSED" and abort["C"]:
        go("C hears ABORT after its no", ["ACKABORT_C"])
    return out


def bad(p, s):
    o, a, c, _, _, avail, hold, burned, res_b, held, res_c, minted, _ = s
    if avail + hold + burned != 1 or res_b + held + res_c != 1:
        return "conservation broken"
    if minted > 1:
        return "minted twice"
    if minted > res_c:
        return "money made: C has minted what A holds no reserve for"
    if p.get("lying"):
        return None
    if avail + hold > res_b + held:
        return "money lost: B's unit lost its reserve"
    if o in ("COMMITTED", "CLOSED") and (a in ("ABORTED", "REFUSED") or c in ("ABORTED", "REFUSED")):
        return "not all or nothing: committed, and a participant has refused for good"
    if o in ("ABORTED", "DROPPED") and (res_c or minted):
        return "not all or nothing: aborted, and a participant has posted"
    return None


def ended(s):
    o, a, c = s[:3]
    if o == "CLOSED":
        return a == "DONE" and c == "DONE"
    return o in ("ABORTED", "DROPPED") and a in ("NONE", "REFUSED", "ABORTED") and c in ("NONE", "REFUSED", "ABORTED")


def run(p):
    before, queue, order, fault = {START: None}, deque([START]), [], None
    after = {}
    while queue:
        s = queue.popleft()
        order.append(s)
        why = bad(p, s)
        if why:
            fault = fault or (why, s)
            after[s] = []
            continue
        after[s] = [n for _, n in steps(p, s)]
        for label, n in steps(p, s):
            if n not in before:
                before[n] = (s, label)
                queue.append(n)
    can, back = {s for s in order if ended(s)}, {}
    for s in order:
        for n in after[s]:
            back.setdefault(n, []).append(s)
    queue = deque(can)
    while queue:
        for s in back.get(queue.popleft(), []):
            if s not in can:
                can.add(s)
                queue.append(s)
    stuck = 0 if p.get("lying") else sum(s not in can for s in order)
    print(f"\n== {p['name']}\n   states {len(order)}; safety: {'OK' if not fault else 'VIOLATED - ' + fault[0]}; "
          f"progress: {'OK' if not stuck else str(stuck) + ' states can never end'}")
    if fault:
        path, s = [], fault[1]
        while before[s]:
            path.append(before[s][1])
            s = before[s][0]
        for i, label in enumerate(reversed(path), 1):
            print(f"     {i}. {label}")
    return fault is None and not stuck


CASES = [
    ({"name": "as built: C mints against B's commit and A's word"}, True),
    ({"name": "as built, and the origin lies as it likes: it strands its own unit, nothing else", "lying": True}, True),
    ({"name": "broken variant: C mints on B's commit alone, B honest", "mints_on_commit": True}, False),
    ({"name": "broken variant: C believes B about A, B lies", "mints_on_acknowledgement_of_origin": True,
      "lying": True}, False),
    ({"name": "broken variant: one yes of two commits", "one_vote_is_enough": True}, False),
    ({"name": "broken variant: C gives up waiting for A", "gives_up_waiting_for_backing": True}, False),
]

if __name__ == "__main__":
    ok = True
    for p, expect in CASES:
        ok &= run(p) == expect
    print("\nall cases as expected" if ok else "\nUNEXPECTED RESULT")
    sys.exit(0 if ok else 1)
