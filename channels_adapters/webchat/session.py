"""What a visitor's socket asks the database: synchronous functions, one call for each thing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from channels_adapters.subscribers import status_frame
from channels_adapters.webchat import frames, identity, pages, tokens
from tickets.envelopes import Sender
from tickets.errors import Blocked
from tickets.events import HandoffReason
from tickets.models import ContactIdentity, Conversation, Inbox
from tickets.payloads import messages_for_payload, visitor_conversation, visitor_messages
from tickets.services import contacts, conversations

PAGE = 100


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a socket speaks for, after its hello."""

    identity_id: int
    contact_id: int


@dataclass(frozen=True)
class Greeting:
    """The answer to a hello; `bad_identity` says why a JWT was not believed."""

    visitor: Visitor
    ready: dict[str, Any]
    last_shown: int
    bad_identity: str = ""


def load_inbox(key: str) -> Inbox | None:
    """A web inbox that takes visitors, or None."""
    return (
        Inbox.objects.enabled()
        .select_related("team", "hours")
        .filter(key=key, type=Inbox.Type.WEB)
        .first()
    )


def open_inboxes(inbox_ids: Collection[int]) -> dict[int, Inbox]:
    """Those of them that still take visitors, as they are now."""
    found = Inbox.objects.enabled().select_related("team", "hours").filter(type=Inbox.Type.WEB)
    return found.in_bulk(inbox_ids)


def greet(inbox: Inbox, hello: frames.Hello) -> Greeting:
    """Find out who says hello, and tell them where they stand."""
    now = timezone.now()
    held = tokens.read(hello.token, inbox_id=inbox.pk) if hello.token else None
    who, refused = held, ""
    if hello.identity:
        try:
            secret = inbox.credentials.get("identity_secret", "")
            claims = identity.read(hello.identity, secret=secret, now=now)
            who = identity.attribute(inbox, claims, held, now=now)
        except identity.BadIdentity as error:
            refused = str(error)
            who = held if held and not held.verified else None
    if who is None:
        who = contacts.identify(inbox, Sender(f"anon:{uuid4()}"), now=now)
    if hello.locale and who.contact.language != hello.locale:
        contacts.update(who.contact, now=now, language=hello.locale[:16])
    ready = _ready(inbox, who, hello)
    shown = [message["seq"] for message in ready["messages"]] + ready["skipped"]
    last_shown = ready["last_seq"] if ready["more"] else max(shown, default=hello.after)
    return Greeting(Visitor(who.pk, who.contact_id), ready, last_shown, refused)


def current(contact_id: int) -> Conversation | None:
    """The live conversation of a contact, or else the last one."""
    mine = Conversation.objects.filter(contact=contact_id, superseded_by=None)
    return mine.select_related("assignee").order_by("-pk").first()


def _ready(inbox: Inbox, who: ContactIdentity, hello: frames.Hello) -> dict[str, Any]:
    conversation = current(who.contact_id)
    after = hello.after if conversation and conversation.public_id == hello.conversation else 0
    return {
        "type": "ready",
        "token": tokens.issue(who),
        "contact": str(who.contact.public_id),
        "conversation": visitor_conversation(conversation) if conversation else None,
        "last_seq": conversation.last_seq if conversation else 0,
        **_stretch(conversation, frames.Fetch(after=after, before=None, limit=PAGE)),
        "inbox": pages.inbox_info(inbox),
    }


def _stretch(conversation: Conversation | None, asked: frames.Fetch) -> dict[str, Any]:
    if conversation is None:
        return {"messages": [], "skipped": [], "more": False}
    log = messages_for_payload(conversation.messages.all())
    if asked.before is not None:
        rows = list(log.filter(seq__lt=asked.before).order_by("-seq")[: asked.limit + 1])
    else:
        rows = list(log.filter(seq__gt=asked.after or 0).order_by("seq")[: asked.limit + 1])
    more = len(rows) > asked.limit
    shown, skipped = visitor_messages(sorted(rows[: asked.limit], key=lambda m: m.seq))
    return {"messages": shown, "skipped": skipped, "more": more}


def fetch(visitor: Visitor, asked: frames.Fetch) -> dict[str, Any]:
    return {"type": "messages", **_stretch(current(visitor.contact_id), asked)}


def status(visitor: Visitor) -> dict[str, Any] | None:
    conversation = current(visitor.contact_id)
    return status_frame(conversation) if conversation else None


def mark_read(visitor: Visitor, seq: int) -> None:
    conversation = current(visitor.contact_id)
    if conversation:
        conversations.mark_read_by_contact(conversation, seq=seq, now=timezone.now())


def hand_off(inbox: Inbox, visitor: Visitor, page: dict[str, str]) -> dict[str, Any] | None:
    """转人工, also before the first word; the answer is the status where nothing moved.

    Raises Blocked.
    """
    now: datetime = timezone.now()
    conversation = conversations.open_live(
        identity_id=visitor.identity_id, inbox=inbox, page=page, now=now
    )
    if conversation is None:
        raise Blocked("the contact is blocked")
    if conversations.hand_off(conversation, reason=HandoffReason.ASKED, now=now):
        return None  # told by the event
    return status(visitor)


def rate(visitor: Visitor, rated: frames.Rated) -> bool:
    """False where there is nothing to rate."""
    conversation = current(visitor.contact_id)
    if conversation is None or conversation.last_seq == 0:
        return False
    conversations.rate(
        conversation,
        score=rated.score,
        solved=rated.solved,
        tags=rated.tags,
        comment=rated.comment,
        now=timezone.now(),
    )
    return True
