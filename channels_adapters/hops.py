"""What the wing knows of a message's way: its line out, and how often it was tried."""

from collections.abc import Iterable

from channels_adapters.models import Delivery
from tickets.models import Message
from tickets.trace import Hop

_RESULTS = {
    Delivery.Status.SENT: "ok",
    Delivery.Status.FAILED: "failed",
    Delivery.Status.UNKNOWN: "unknown",
}


def hops(message: Message) -> Iterable[Hop]:
    """In the line; then taken by the platform, or what stands in the way."""
    delivery = Delivery.objects.filter(message=message).first()
    if delivery is None:
        return
    waited = round((delivery.created_at - message.created_at).total_seconds() * 1000)
    yield Hop("lined_up", delivery.created_at, waited)
    at = delivery.done_at or delivery.next_at
    yield Hop(
        "delivery",
        max(at, delivery.created_at),
        round((max(at, delivery.created_at) - delivery.created_at).total_seconds() * 1000),
        _RESULTS.get(Delivery.Status(delivery.status), "waiting"),
        delivery.code,
        f"{delivery.attempts} ×" + (f" {delivery.detail}" if delivery.detail else ""),
    )
