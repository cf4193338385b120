"""👍 and 👎: what people think of an answer, kept with its call and told to its vendor."""

from uuid import UUID

from django.db import transaction

from ai_gateway import limits, registry
from ai_gateway.errors import NotAnAnswer
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.protocol import TakesFeedback
from tickets.models import Message
from tickets.services import messages


def attempt_of(reply: Message) -> Attempt:
    """The call whose words a message of the bot is. Raises NotAnAnswer where there is none."""
    is_the_bots = (reply.kind, reply.author_kind) == (
        Message.Kind.OUTGOING,
        Message.AuthorKind.BOT,
    )
    question = reply.reply_to if is_the_bots else None
    attempt = Attempt.objects.that_answered(question).first() if question else None
    if attempt is None:
        raise NotAnAnswer(str(reply.public_id))
    return attempt


@transaction.atomic
def give(reply: Message, good: bool | None) -> Attempt:
    """Keep what somebody thinks of an answer; None takes it back. Raises NotAnAnswer.

    The vendor hears of it by a task (tasks.tell_feedback), which the caller queues.
    """
    attempt = attempt_of(reply)
    attempt.good = good
    attempt.save(update_fields=["good"])
    messages.judge(reply, good)
    return attempt


def give_on_suggestion(conversation_id: int, suggestion: UUID, good: bool | None) -> Attempt:
    """The same of what the copilot suggested. Raises NotAnAnswer."""
    made = Attempt.objects.filter(conversation=conversation_id, suggestion=suggestion)
    attempt = made.first()
    if attempt is None:
        raise NotAnAnswer(str(suggestion))
    attempt.good = good
    attempt.save(update_fields=["good"])
    return attempt


async def tell_vendor(attempt: Attempt, endpoint: Endpoint | None) -> bool:
    """Pass it on; False where the vendor takes none, or the answer has no name there.

    Raises EndpointError.
    """
    if endpoint is None or not attempt.vendor_message_id:
        return False
    backend = registry.backend_for(endpoint.config())
    if not isinstance(backend, TakesFeedback):
        return False
    memory = attempt.vendor_memory or {}
    await backend.feedback(memory, attempt.vendor_message_id, attempt.good)
    return True


async def tell_vendor_and_close(attempt: Attempt, endpoint: Endpoint | None) -> bool:
    """`tell_vendor`, on an event loop that ends with it."""
    try:
        return await tell_vendor(attempt, endpoint)
    finally:
        await limits.close()
        await registry.close()
