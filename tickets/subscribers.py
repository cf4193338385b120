"""What the ground itself does when told."""

from tickets import metrics, tasks, told
from tickets.events import MessageArrived, MessageReceived, ReplyPosted
from tickets.models import Message


def receive(event: MessageArrived) -> None:
    tasks.drain_lane.delay(event.lane)


def count_received(event: MessageReceived) -> None:
    for one in told.of(event):
        metrics.messages.labels(one.payload["inbox"]["channel"], "in").inc()


def count_reply(event: ReplyPosted) -> None:
    """Notes and activity lines go nowhere, and are not counted."""
    for one in told.of(event):
        if one.payload["kind"] == Message.Kind.OUTGOING:
            metrics.messages.labels(one.payload["inbox"]["channel"], "out").inc()
