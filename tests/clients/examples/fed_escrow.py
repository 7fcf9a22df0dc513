"""The scheme `fed-escrow` for x402's Python SDK (2.25): copy this file beside your program.

A payer's client gets from its own node the signed lock of an escrow and the signed release. A paid server brings the first to
its node before its handler runs and the second after, and gives everything back when the handler fails. Which of the three a
call means stands in its payload, so a call that is sent again means the same.
"""

import uuid
from decimal import Decimal

import httpx
from x402 import x402Client, x402ResourceServer
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.facilitator_client_base import CreateHeadersAuthProvider
from x402.schemas import AssetAmount

SCHEME = "fed-escrow"
PHASES = {"before-handler": "lock", "after-handler": "release", "cancel": "refund"}


class Payer:
    """Pays from the account whose token this is."""

    scheme = SCHEME

    def __init__(self, node, token):
        self.node, self.token = node, token

    def create_payment_payload(self, requirements):
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": uuid.uuid4().hex}
        wanted = requirements.model_dump(by_alias=True, exclude_none=True)
        answer = httpx.post(f"{self.node}/x402/authorize", json=wanted, headers=headers, timeout=60)
        if answer.is_error:
            raise ValueError(answer.text)
        return answer.json()


class Paid:
    """Prices as "1.50" or AssetAmount; `asset` and `decimals` are those that the node's `/x402/supported` tells."""

    scheme = SCHEME
    default_asset_transfer_method = "default"
    payment_flows = {"default": {"supported": ("escrow",), "default": "escrow"}}

    def __init__(self, asset, decimals):
        self.asset, self.decimals = asset, decimals

    def parse_price(self, price, _network):
        if isinstance(price, AssetAmount):
            return price
        minor = Decimal(str(price).removeprefix("$")).scaleb(self.decimals)
        if minor != int(minor):
            raise ValueError(f"{price} has more than {self.decimals} decimals")
        return AssetAmount(amount=str(int(minor)), asset=self.asset)

    def enhance_payment_requirements(self, requirements, _kind, _extensions):
        return requirements

    def enrich_settlement_payload(self, context):
        phase = PHASES[context.phase]
        # Of its own for each request that is served: a payment that comes a second time locks nothing.
        return {"phase": phase, "attempt": uuid.uuid4().hex} if phase == "lock" else {"phase": phase}

    def settle_on_cancel(self, context):
        return context.requirements


def payer(node, token):
    """A client for any domain's network. What it may spend is bounded by the token's own limit, at the node."""
    return x402Client().register("fed:*", Payer(node, token)).set_spend_controls(False)


def facilitator(node, token):
    """The node as the facilitator of the agent whose token this is."""
    headers = {"Authorization": f"Bearer {token}"}
    names = ("verify", "settle", "supported")
    auth = CreateHeadersAuthProvider(lambda: {name: headers for name in names})
    return HTTPFacilitatorClient(FacilitatorConfig(url=f"{node}/x402", auth_provider=auth))


def server(node, token):
    """A resource server paid to that agent, and the network that it is paid on."""
    client = facilitator(node, token)
    kind = next(kind for kind in client.get_supported().kinds if kind.scheme == SCHEME)
    paid = Paid(kind.extra["asset"], kind.extra["decimals"])
    return x402ResourceServer(client).register(kind.network, paid), kind.network
