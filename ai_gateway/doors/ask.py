"""`ai/ask/`: a body in, an answer or a stream of it out. Who asks is known already."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from rest_framework import exceptions, serializers

from ai_gateway import asking, database, prompts
from ai_gateway.asking import AUTO, Asked, Said, SoFar
from ai_gateway.doors import growing, once, refusals
from ai_gateway.doors.exchange import EVENTS, KEEP_ALIVE, Reply, encoded, event
from ai_gateway.doors.growing import grow
from ai_gateway.errors import UnknownEndpoint
from ai_gateway.protocol import Prompt, Role, Turn
from tickets import policy
from tickets.api import lookups
from tickets.api.fields import (
    IdField,
    StrictBooleanField,
    StrictSerializer,
    TextField,
)
from tickets.models import Contact, Conversation, Message
from tickets.policy import Principal

MAX_TEXT = 32_000  # characters, of a question and of each turn
MAX_TURNS = 200
ROLES = {
    "contact": Role.CONTACT,
    "user": Role.CONTACT,
    "bot": Role.HOUSE,
    "agent": Role.HOUSE,
    "assistant": Role.HOUSE,
}


class TurnBody(StrictSerializer):
    role = serializers.ChoiceField(list(ROLES))
    text = TextField(max_length=MAX_TEXT, allow_blank=True)


class AskBody(StrictSerializer):
    text = TextField(max_length=MAX_TEXT)
    endpoint = IdField(required=False, allow_null=True, help_text="A slug, auto, or rules")
    contact = IdField(required=False, allow_null=True)
    conversation = IdField(required=False, allow_null=True)
    history = TurnBody(many=True, required=False, max_length=MAX_TURNS, help_text="Oldest first")
    stream = StrictBooleanField(required=False)

    def validate_text(self, text: str) -> str:
        if not text.strip():
            raise serializers.ValidationError("This field may not be blank.", code="blank")
        return text


async def answer(principal: Principal, owner: str, data: Any, key: str | None) -> Reply:
    """The reply to a body; `key` is its Idempotency-Key.

    With a key a stream has no deltas: there is one answer, and it may be an earlier one. Raises
    what `tickets.api` knows how to refuse.
    """
    body = AskBody(data=data)
    body.is_valid(raise_exception=True)
    wanted = body.validated_data
    asked = await _asked(principal, wanted)
    streams = wanted.get("stream", False)
    if streams and key is None:
        return await _stream(asked)
    headers = {}
    if key is None:
        said = await _whole(asked)
    else:
        said, is_earlier = await once.run_once(owner, key, data, lambda: _whole(asked))
        headers = once.REPLAYED if is_earlier else {}
    if streams:
        return Reply(200, event(said, "end"), headers, EVENTS)
    return Reply(200, encoded(said), headers)


def payload(said: Said) -> dict[str, Any]:
    """The answer, as the API shows it."""
    return {
        "text": said.text,
        "intent": said.intent,
        "confidence": said.confidence,
        "slots": dict(said.slots),
        "endpoint": said.endpoint,
        "degraded": said.degraded,
        "fallback_from": list(said.fallback_from),
        "citations": [dict(citation) for citation in said.citations],
        "suggested": list(said.suggested),
        "handoff": said.handoff,
        "usage": said.usage,
        "latency_ms": said.latency_ms,
        "attempt": said.attempt,
    }


async def _whole(asked: Asked) -> dict[str, Any]:
    try:
        return payload(await asking.ask(asked))
    except UnknownEndpoint as error:
        raise _unknown(error) from error
    finally:
        await growing.settle()


async def _stream(asked: Asked) -> Reply:
    """What cannot be asked at all is refused before the stream begins."""
    try:
        await asking.check(asked)
    except UnknownEndpoint as error:
        raise _unknown(error) from error
    return Reply(200, _events(asked), content_type=EVENTS)


async def _events(asked: Asked) -> AsyncIterator[bytes]:
    try:
        async with aclosing(grow(asked)) as texts:
            async for grown in texts:
                if isinstance(grown, Said):
                    yield event(payload(grown), "end")
                elif isinstance(grown, SoFar):
                    yield event({"text": grown.text}, "delta")
                else:
                    yield KEEP_ALIVE
    except Exception as error:  # an outermost edge: the stream has begun, there is no status left
        yield event(refusals.data_of(refusals.known(error)), "error")


def _unknown(error: UnknownEndpoint) -> exceptions.ValidationError:
    return exceptions.ValidationError({"endpoint": [str(error)]}, code="does_not_exist")


# From a body to a question --------------------------------------------------------------------


async def _asked(principal: Principal, wanted: dict[str, Any]) -> Asked:
    """Raises NotFound for a contact or a conversation that the caller does not see."""
    history = tuple(Turn(ROLES[t["role"]], t["text"]) for t in wanted.get("history", ()))
    prompt = Prompt(wanted["text"], history)
    asked = Asked(prompt, wanted.get("endpoint") or AUTO)
    if wanted.get("conversation") or wanted.get("contact"):
        return await database.run(_with_rows, principal, wanted, asked)
    return asked


def _with_rows(principal: Principal, wanted: dict[str, Any], asked: Asked) -> Asked:
    conversation = contact = None
    if public_id := wanted.get("conversation"):
        seen = policy.conversations(principal).select_related("contact")
        conversation = lookups.visible(seen, public_id)
        contact = conversation.contact
    if public_id := wanted.get("contact"):
        named = lookups.visible(policy.contacts(principal), public_id)
        if contact and contact != named:
            wrong = "the conversation is another contact's"
            raise exceptions.ValidationError({"contact": [wrong]}, code="invalid")
        contact = named
    given = "history" in wanted
    return _about(asked, contact, conversation, given=given)


def _about(
    asked: Asked, contact: Contact | None, conversation: Conversation | None, *, given: bool
) -> Asked:
    """The question with whom it is about. A conversation's log is its history, unless given."""
    before = () if given or conversation is None else prompts.turns_of(_log(conversation))
    prompt = Prompt(
        asked.prompt.text,
        before or asked.prompt.history,
        user=str(contact.public_id) if contact else "",
        thread=str(conversation.public_id) if conversation else "",
    )
    language = contact.language if contact else ""
    return Asked(prompt, asked.endpoint, conversation, language, trace=asked.trace)


def _log(conversation: Conversation) -> list[Message]:
    """What people and the bot said last, oldest first."""
    said = conversation.messages.filter(kind__in=(Message.Kind.INCOMING, Message.Kind.OUTGOING))
    newest = said.prefetch_related("attachments").order_by("-seq")[: prompts.MAX_TURNS]
    return list(newest)[::-1]
