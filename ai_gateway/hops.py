"""What the gateway knows of a message's way: who was asked to answer it, and how it went."""

from collections.abc import Iterable
from datetime import timedelta

from ai_gateway.models import Attempt
from tickets.models import Message
from tickets.trace import Hop

_RESULTS = {
    Attempt.Outcome.ANSWERED: "ok",
    Attempt.Outcome.FAILED: "failed",
    Attempt.Outcome.CANCELLED: "skipped",
    Attempt.Outcome.SKIPPED: "skipped",
}


def hops(message: Message) -> Iterable[Hop]:
    """One for each endpoint of a question, in the order in which they were asked."""
    asked = Attempt.objects.filter(conversation=message.conversation_id, message=message)
    for attempt in asked.order_by("pk"):
        reason = " · ".join(part for part in (attempt.rule, attempt.reason) if part)
        yield Hop(
            f"ai:{attempt.endpoint}",
            attempt.created_at + timedelta(milliseconds=attempt.latency_ms),
            attempt.latency_ms,
            _RESULTS[Attempt.Outcome(attempt.outcome)],
            attempt.error_code or attempt.error_kind,
            reason,
        )
