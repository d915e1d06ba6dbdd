"""py-spiffe before our Workload API: prints one JSON value a line."""

import json
import sys
import threading

from spiffe import SpiffeId, WorkloadApiClient


def say(value):
    print(json.dumps(value), flush=True)


def watch(client, count):
    """So many updates or errors, then the end."""
    done = threading.Event()
    left = [count]

    def tell(value):
        if left[0] == 0:
            return
        say(value)
        left[0] -= 1
        if left[0] == 0:
            done.set()

    def on_success(context):
        tell(
            {
                "svids": [
                    {"id": str(svid.spiffe_id), "serial": format(svid.leaf.serial_number, "x")}
                    for svid in context.x509_svids
                ],
                "bundles": {
                    bundle.trust_domain.name: len(bundle.x509_authorities)
                    for bundle in context.x509_bundle_set.bundles
                },
            }
        )

    handler = client.stream_x509_contexts(
        on_success, lambda error: tell({"error": str(error)}), retry_connect=False
    )
    done.wait(30)
    handler.cancel()


def jwt(client, audience, subject):
    svid = client.fetch_jwt_svid(audience={audience}, subject=SpiffeId(subject))
    bundles = client.fetch_jwt_bundles()
    there = client.validate_jwt_svid(svid.token, audience)
    bundle = bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    here = type(svid).parse_and_validate(svid.token, bundle, {audience})
    try:
        client.validate_jwt_svid(svid.token, "somebody else")
        wrong = "accepted"
    except Exception as error:  # whatever it is called: that it is refused is the claim
        wrong = str(error)
    say({"id": str(here.spiffe_id), "there": str(there.spiffe_id), "wrong": wrong})


command, endpoint, *rest = sys.argv[1:]
with WorkloadApiClient(socket_path=endpoint, default_timeout=20) as client:
    if command == "watch":
        watch(client, int(rest[0]))
    else:
        jwt(client, *rest)
