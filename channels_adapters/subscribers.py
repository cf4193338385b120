"""What visitors' open sockets and platforms are told.

Each may be lost: a client reads the log for itself, a sweeper finds what lies still.
"""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from channels_adapters import line, pulse, registry, tasks, typing
from channels_adapters.models import Delivery
from tickets import push, told
from tickets.events import (
    ContactMerged,
    ConversationChanged,
    EventArrived,
    MessageReceived,
    ReadMoved,
    ReplyGrowing,
    ReplyPosted,
    ResendAsked,
    TypingStarted,
)
from tickets.models import Conversation, Message
from tickets.payloads import (
    for_visitor,
    message_payload,
    messages_for_payload,
    visitor_conversation,
)
from tickets.services import conversations, messages


def handle_event(event: EventArrived) -> None:
    tasks.handle_event.delay(event.envelope_id)


def deliver(event: ReplyPosted) -> None:
    """Queue what is pending: a reply to somebody on a platform."""
    for one in told.of(event):
        channel = one.payload["inbox"]["channel"]
        if one.payload["status"] == Message.Status.PENDING and registry.has_adapter(channel):
            tasks.deliver_inbox.delay(one.inbox_id)


def note_received(event: MessageReceived) -> None:
    """A sign of life of each inbox that a message came by."""
    for inbox_id in {one.inbox_id for one in told.of(event)}:
        pulse.heard(inbox_id)


def note_reply(event: ReplyPosted) -> None:
    """A reply that is read off the log has gone out; a platform's is noted by its delivery."""
    for one in told.of(event):
        is_reply = one.payload["kind"] == Message.Kind.OUTGOING
        if is_reply and one.payload["status"] != Message.Status.PENDING:
            pulse.spoke(one.inbox_id)


def send_again(event: ResendAsked) -> None:
    """Back into the line; one that never stood there enters it as a pending message does."""
    message = Message.objects.select_related("inbox").get(pk=event.message_id)
    delivery = Delivery.objects.filter(message=message).first()
    if delivery:
        line.send_again(delivery, now=timezone.now())
    else:
        messages.mark_pending(message)
    tasks.deliver_inbox.delay(message.inbox_id)


def fetch_media(event: MessageReceived) -> None:
    """Queue the files that lie with platforms; sockets' messages bring theirs along."""
    waiting = [one.message_id for one in told.of(event) if one.has_media]
    if waiting:
        tasks.fetch_media.delay(waiting)


def fetch_profiles(event: MessageReceived) -> None:
    """Queue the question who they are, where the platform answers it."""
    unknown = [
        one.message_id
        for one in told.of(event)
        if registry.tells_profiles(one.payload["inbox"]["channel"])
    ]
    if unknown:
        tasks.fetch_profiles.delay(unknown)


def show_received(event: MessageReceived) -> None:
    """The visitor's other sockets; the one that sent it leaves its own out."""
    _show(event)


def show_reply(event: ReplyPosted) -> None:
    _show(event)


def _show(event: MessageReceived | ReplyPosted) -> None:
    push.many(
        (push.contact_group(one.contact_id), {"type": "visitor.frame", "frame": _frame(one)})
        for one in told.of(event)
        if one.is_public
    )


def _frame(one: told.Told) -> dict[str, Any]:
    return {"type": "message", "message": for_visitor(one.payload), "skipped": one.skipped}


def message_frames(rows: QuerySet[Message]) -> list[tuple[int, dict[str, Any]]]:
    """(contact id, `message` frame) for each; a frame names the notes' numbers before it."""
    earlier = Message.objects.public().filter(
        conversation=OuterRef("conversation"), seq__lt=OuterRef("seq")
    )
    previous = Subquery(earlier.order_by("-seq").values("seq")[:1])
    shown = messages_for_payload(rows).annotate(previous=Coalesce(previous, 0))
    return [
        (
            message.conversation.contact_id,
            {
                "type": "message",
                "message": for_visitor(message_payload(message)),
                "skipped": list(range(message.previous + 1, message.seq)),
            },
        )
        for message in shown.order_by("conversation", "seq")
    ]


def send_away(event: ContactMerged) -> None:
    """Sockets of a contact who became, or ceased to be, another's: they come back as that one."""
    push.to_groups([push.contact_group(event.contact_id)], {"type": "visitor.moved"})


def show_status(event: ConversationChanged) -> None:
    conversation = (
        Conversation.objects.select_related("assignee").filter(pk=event.conversation_id).first()
    )
    if conversation:
        push.to_visitor(conversation.contact_id, status_frame(conversation))


def status_frame(conversation: Conversation) -> dict[str, Any]:
    """Who has the conversation, and where it stands in the line."""
    queue = None
    if conversation.status == Conversation.Status.QUEUED:
        queue = {"ahead": conversations.place_in_queue(conversation), "eta_s": None}
    return {
        "type": "status",
        "conversation": visitor_conversation(conversation),
        "queue": queue,
    }


def show_typing(hint: TypingStarted) -> None:
    if not hint.by_contact:
        push.to_visitor(hint.contact_id, {"type": "typing", "on": hint.on})


def show_typing_on_platform(hint: TypingStarted) -> None:
    if hint.on and not hint.by_contact and typing.is_due(hint.conversation_id):
        tasks.show_typing.apply_async([hint.conversation_id], expires=typing.AGAIN_S)


def show_growing(hint: ReplyGrowing) -> None:
    frame = {"type": "delta", "reply_to": hint.reply_to, "text": hint.text}
    push.to_visitor(hint.contact_id, frame)


def show_read(hint: ReadMoved) -> None:
    if not hint.by_contact:
        push.to_visitor(hint.contact_id, {"type": "read", "seq": hint.seq})
