"""Publishes the way of an order to Skein by the CloudEvents SDK for Python: pip install cloudevents

    SKEIN_SECRET=... python publish_cloudevents.py https://skein.acme.example/channels/cloudevents/acme/orders
"""

import os
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent


def event(typ, subject):
    return CloudEvent(
        attributes={
            "specversion": "1.0",
            "id": typ + subject,
            "source": "https://shop.lumen.example/de",
            "type": "com.lumen." + typ,
            "subject": subject,
            "time": datetime(2026, 2, 27, 9, tzinfo=timezone.utc),
            "datacontenttype": "application/json",
            "skeinemail": "anna@example.com",
        },
        data={"order": 1},
    )


def post(headers, body):
    headers = {**headers, "Authorization": "Bearer " + os.environ["SKEIN_SECRET"]}
    request = urllib.request.Request(sys.argv[1], data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request) as answer:  # raises where the answer is not 2xx
        answer.read()


binary = to_binary_event(event("order.created", "order/1 für Anna"))
post(binary.headers, binary.body)

structured = to_structured_event(event("order.paid", "order/1 für Anna"))
post(structured.headers, structured.body)

batch = [to_structured_event(e).body for e in (event("order.sent", "order/1 für Anna"), event("order.sent", "order/2"))]
post({"content-type": "application/cloudevents-batch+json"}, b"[" + b",".join(batch) + b"]")
