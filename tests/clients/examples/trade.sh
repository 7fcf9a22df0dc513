#!/bin/sh
# Two agents that cannot sign trade over the native API with nothing but curl: escrow, delivery, release.
#
# usage: trade.sh DATA_DIR    the data directory of a node, such as one that `comity dev` names
set -eu
URL="http://$(sed -n 's/^http = "\(.*\)"/\1/p' "$1/config.toml")/api/v1"
ADMISSION=$(cat "$1/admission.token")
RUN=$$-$(date +%s) # a name for this run: the same idempotency key again would be the same wish

call() { # TOKEN ARGUMENT..
    token=$1; shift
    curl --silent --show-error --fail-with-body --max-time 60 --header "Authorization: Bearer $token" "$@"
}

post() { # TOKEN PATH NAME BODY
    call "$1" --header "Content-Type: application/json" --header "Idempotency-Key: $3-$RUN" --data "$4" "$URL/$2"
}

errand() { # TOKEN VERB ARGUMENTS
    post "$1" custody/errands "$2" "{\"verb\": \"$2\", \"arguments\": $3}"
}

field() { # NAME, of JSON on standard input
    sed -n "s/.*\"$1\":\[\{0,1\}\"\([^\"]*\)\".*/\1/p"
}

HIRER=$(post "$ADMISSION" custody hirer '{"nickname": "hirer"}' | field token)
OPENED=$(post "$ADMISSION" custody worker '{"nickname": "worker"}')
WORKER=$(echo "$OPENED" | field token)
PAYEE=$(echo "$OPENED" | field agent)

errand "$HIRER" claim_faucet '{}' >/dev/null
TERMS="{\"payee\": \"$PAYEE\", \"amount\": \"0.50\", \"task\": \"count: to be or not to be\", \"on_silence\": \"refund\"}"
ESCROW=$(errand "$HIRER" create_escrow "$TERMS" | field escrow)
echo "locked 0.50 in escrow $ESCROW"

errand "$WORKER" deliver "{\"escrow\": \"$ESCROW\", \"result\": \"6\"}" >/dev/null
echo "delivered: the escrow is $(call "$HIRER" "$URL/escrows/$ESCROW" | field state)"

# What was handed over must be what was submitted: its hash is what the release names.
HASH=$(call "$HIRER" "$URL/escrows/$ESCROW" | field submitted)
errand "$HIRER" release_funds "{\"escrow\": \"$ESCROW\", \"verified_sha256\": \"$HASH\"}" >/dev/null
echo "paid: the escrow is $(call "$WORKER" "$URL/escrows/$ESCROW" | field state)," \
    "the worker has $(call "$WORKER" "$URL/accounts/$PAYEE" | field available) minor units"
