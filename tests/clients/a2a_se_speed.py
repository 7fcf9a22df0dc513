"""How many create + release cycles a second the published agent-settlement client does, in processes of its own.

usage: a2a_se_speed.py URL ADMISSION_TOKEN [CLIENTS [SECONDS]]

The client makes a new connection, and a new TLS context, for each request, also to a URL without TLS: with the whole list of
authorities that costs it some 45 ms of processor. Here the environment names a list of one (SSL_CERT_FILE), which costs less
than one. The client itself is as it was published; its processor time is told too.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time

import certifi
from a2a_settlement.client import SettlementExchangeClient

URL, ADMISSION = sys.argv[1:3]
CLIENTS, SECONDS = [int(text) for text in sys.argv[3:5]] + [8, 10][len(sys.argv[3:5]):]


def one_authority():
    """A file of one certificate, for as long as it is held."""
    file, end = tempfile.NamedTemporaryFile("w", suffix=".pem"), "-----END CERTIFICATE-----\n"
    with open(certifi.where()) as whole:
        file.write(whole.read().split(end)[0] + end)
    file.flush()
    os.environ["SSL_CERT_FILE"] = file.name
    return file


def registered(name):
    made = SettlementExchangeClient(URL, api_key=ADMISSION, timeout_s=60).register_account(
        bot_name=name, developer_id="bench", developer_name="bench", contact_email="bench@example.com")
    return made["account"]["id"], made["api_key"]


def cycles(token, worker, number, told):
    client = SettlementExchangeClient(URL, api_key=token, timeout_s=60)
    begun, done = time.monotonic(), 0
    while time.monotonic() - begun < SECONDS:
        made = client.create_escrow(provider_id=worker, amount=10, task_id=f"{number}-{done}",
                                    idempotency_key=f"c-{number}-{done}")
        assert client.release_escrow(escrow_id=made["escrow_id"])["status"] == "released"
        done += 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    told.put((done, time.monotonic() - begun, used.ru_utime + used.ru_stime))


def main():
    held = one_authority()
    worker = registered("worker")[0]
    told, tokens = multiprocessing.Queue(), [registered(f"payer-{number}")[1] for number in range(CLIENTS)]
    running = [multiprocessing.Process(target=cycles, args=(token, worker, number, told))
               for number, token in enumerate(tokens)]
    for process in running:
        process.start()
    figures = [told.get() for _ in running]
    for process in running:
        process.join()
    rate = sum(done / took for done, took, _ in figures)
    cpu = sum(used for *_, used in figures)
    held.close()
    print(f"{CLIENTS} clients: {rate:.0f} cycles/s; the clients used {cpu / max(took for _, took, _ in figures):.2f} cores,"
          f" {1_000 * cpu / max(1, sum(done for done, *_ in figures)):.1f} ms of processor a cycle")


if __name__ == "__main__":
    main()
