"""A connector in Python for the paging service of docs/connectors.md: what customers page becomes events, and what agents
answer goes out. Make the stubs once, beside this file:

    pip install grpcio grpcio-tools
    python -m grpc_tools.protoc -I proto -I proto/third_party/protovalidate --python_out=docs/examples --grpc_python_out=docs/examples \
        $(cd proto && find skein third_party/protovalidate -name '*.proto' | sed 's|^third_party/protovalidate/||')

and run it beside a Skein whose configuration has an inbox {id: desk, tenant: default, channel: connector}:

    python docs/examples/pager.py
    curl -d '{"id":"17","from":"+49 30 901820","text":"Call me"}' http://127.0.0.1:8099/
    bin/skein send --inbox desk --native-thread '+49 30 901820' --text 'In five minutes.'
"""

import http.server
import json
import threading
import time

import grpc

from skein.channel.v1 import channel_pb2, channel_pb2_grpc
from skein.event.v1 import bodies_pb2, content_pb2, event_pb2, submission_pb2
from skein.ingest.v1 import ingest_pb2, ingest_pb2_grpc

INBOX = "desk"
SKEIN = grpc.insecure_channel("127.0.0.1:7070")  # with tokens: metadata=[("authorization", "Bearer ...")] on each call
RETRY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}


def read(body):
    """What a page tells. Everything comes from the body, so the same body is the same event."""
    page = json.loads(body)
    sender = submission_pb2.Address(kind=event_pb2.ENDPOINT_KIND_PHONE, value=page["from"])
    return submission_pb2.Submission(
        type="message.received", channel=event_pb2.CHANNEL_SMS, direction=event_pb2.DIRECTION_INBOUND,
        provider="pager", inbox=INBOX, thread=page["from"], native_id=page["id"],
        parties=[submission_pb2.SubmittedParty(address=sender, role=event_pb2.PARTY_ROLE_SENDER, side=event_pb2.SIDE_CUSTOMER)],
        actor=submission_pb2.SubmittedActor(kind=event_pb2.ACTOR_KIND_CUSTOMER),
        content=content_pb2.Content(message_received=bodies_pb2.Message(text=page["text"])),
    )


class Pages(http.server.BaseHTTPRequestHandler):
    """Takes pages. The service sends a page again until it is answered with 200."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            request = ingest_pb2.PublishRequest(submissions=[read(body)])
            ingest_pb2_grpc.IngestServiceStub(SKEIN).Publish(request, timeout=10)
            status = 200  # the event is durable
        except grpc.RpcError as error:
            # Wrong for good: another try would not help. A connector keeps such bodies somewhere and tells a person.
            status = 503 if error.code() in RETRY else 200
            print("not taken:", error.details())
        except (ValueError, KeyError) as error:
            status = 200
            print("not understood:", error, body)
        self.send_response(status)
        self.end_headers()


def page(number, text):
    """Here the paging service is called. It answers with its id of the page."""
    print("page to", number + ":", text)
    return "out-%d" % time.time_ns()


def send():
    """Sends what agents answer, and reports what became of it."""
    service, cursor = channel_pb2_grpc.ChannelServiceStub(SKEIN), ""
    while True:
        try:
            for message in service.Requests(channel_pb2.RequestsRequest(inbox=INBOX, cursor=cursor)):
                cursor = message.cursor  # a real connector keeps it on disk before it sends
                if not message.HasField("request"):
                    continue
                request = message.request
                report = channel_pb2.ReportRequest(event_id=request.event.id)
                if request.handed_before:  # perhaps by this program, before it was killed: nobody knows
                    report.unknown.reason = "the connector was interrupted"
                else:
                    report.sent.native_id = page(request.to[0].value, request.content.message_send_requested.text)
                service.Report(report, timeout=10)
        except grpc.RpcError as error:
            print("trying again:", error.details())
            time.sleep(1)


if __name__ == "__main__":
    threading.Thread(target=send, daemon=True).start()
    http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Pages).serve_forever()
