"""What the ground itself does when told."""

from tickets import tasks
from tickets.events import MessageArrived


def receive(event: MessageArrived) -> None:
    tasks.receive_envelope.delay(event.envelope_id)
