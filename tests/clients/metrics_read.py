"""A node's metrics, read twice by the parser of Prometheus' own Python client, which refuses whatever the standard does.

usage: metrics_read.py URL TOKEN_FILE
"""

import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

URL, TOKEN = sys.argv[1], open(sys.argv[2], encoding="ascii").read().strip()
KIND = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def scraped():
    """The page as a scraper asks for it, and its families."""
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/metrics", headers=headers), timeout=60) as answer:
        assert answer.status == 200 and answer.headers["content-type"] == KIND, answer.headers
        text = answer.read().decode("utf-8")
    return list(text_string_to_metric_families(text))


def samples(families, kind):
    """Values of one kind, by name and labels."""
    found = [family.samples for family in families if family.type == kind]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for all in found for one in all}


first, second = scraped(), scraped()
for family in second:
    assert family.name.startswith("comity_") and family.documentation.endswith("."), family
    assert family.type in ("counter", "gauge", "histogram", "info"), family
    assert not family.unit or family.name.endswith(f"_{family.unit}"), family
before, after = samples(first, "counter"), samples(second, "counter")
assert before.keys() <= after.keys(), before.keys() - after.keys()
assert all(after[name] >= value for name, value in before.items()), "a counter fell"
own = ("comity_http_requests_total", (("method", "GET"), ("route", "/metrics"), ("status", "2xx")))
assert after[own] == before.get(own, 0) + 1, after[own]
count = sum(len(family.samples) for family in second)
print(f"{len(second)} families, {count} samples, read strictly")
