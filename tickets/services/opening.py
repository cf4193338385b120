"""A contact's conversation begins, or begins again: for a batch of messages, or before any."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Case, F, Value, When

from tickets import bus, prepared
from tickets.envelopes import InboundMessage
from tickets.events import (
    ConversationChanged,
    ConversationHandedOff,
    HandoffReason,
    ReplyPosted,
)
from tickets.models import Conversation, Inbox, Message
from tickets.services import contacts, lines, live, waiting_line
from tickets.services.live import Thread

Letter = tuple[InboundMessage, int]  # a message, and the identity that it is from


@transaction.atomic
def open_live(
    *, identity_id: int, inbox: Inbox, page: dict[str, str], now: datetime
) -> Conversation | None:
    """The contact's live conversation, opened before their first word; None: they are blocked."""
    prepared.plan_for_growth()
    threads, _ = live.lock([identity_id])
    if not threads:
        live.lock_contacts([identity_id])
        threads, _ = live.lock([identity_id])
    if not threads:
        first = InboundMessage(inbox_id=inbox.pk, identity_id=identity_id, page=page)
        threads = open_threads({identity_id}, [(first, identity_id)], now)
    thread = threads[identity_id]
    if thread.blocked:
        return None
    if thread.opened:
        bus.publish(ConversationChanged(thread.conversation_id, begun=thread.begun))
    return Conversation.objects.get(pk=thread.conversation_id)


def open_threads(
    identity_ids: set[int],
    letters: Sequence[Letter],
    now: datetime,
) -> dict[int, Thread]:
    """A live conversation for identities whose contact has none, reopened or new."""
    if not identity_ids:
        return {}
    first: dict[int, InboundMessage] = {}
    for message, identity_id in letters:
        first.setdefault(identity_id, message)
    inboxes = Inbox.objects.in_bulk({first[i].inbox_id for i in identity_ids})
    rows = contacts.owners(identity_ids)
    threads: dict[int, Thread] = {}
    by_contact: dict[int, Thread] = {}
    reopened = _reopen(
        [contact_id for i, (contact_id, _) in rows.items() if _reopens(inboxes, first[i])], now
    )
    fresh: dict[int, Conversation] = {}
    for identity_id, (contact_id, blocked) in rows.items():
        thread = by_contact.get(contact_id) or reopened.get(contact_id)
        if thread is None:
            inbox = inboxes[first[identity_id].inbox_id]
            opened = _conversation(contact_id, identity_id, inbox, first[identity_id], now)
            thread = Thread(0, opened.public_id, contact_id, 0, 0, blocked, opened=True)
            thread.begun = True
            if not blocked:
                fresh[contact_id] = opened
        by_contact[contact_id] = threads[identity_id] = thread
    for conversation in Conversation.objects.bulk_create(fresh.values()):
        by_contact[conversation.contact_id].conversation_id = conversation.pk
    return threads


def _reopens(inboxes: dict[int, Inbox], message: InboundMessage) -> bool:
    return inboxes[message.inbox_id].setting("reopen") == "reopen"


def _conversation(
    contact_id: int, identity_id: int, inbox: Inbox, message: InboundMessage, now: datetime
) -> Conversation:
    return Conversation(
        contact_id=contact_id,
        identity_id=identity_id,
        reply_identity_id=identity_id,
        inbox=inbox,
        team_id=inbox.team_id,
        status=Conversation.Status.BOT,
        owner_kind=Conversation.OwnerKind.BOT,
        page=message.page,
        created_at=now,
        updated_at=now,
    )


_REOPEN_SQL = """
    UPDATE tickets_conversation c
       SET status = CASE WHEN c.assignee_id IS NULL THEN 'bot' ELSE 'open' END,
           owner_kind = CASE WHEN c.assignee_id IS NULL THEN 'bot' ELSE 'agent' END,
           lease = c.lease + 1, resolved_at = NULL, updated_at = %s
     WHERE c.id IN (
           SELECT DISTINCT ON (contact_id) id FROM tickets_conversation
            WHERE contact_id = ANY(%s) AND status = 'resolved' AND superseded_by_id IS NULL
            ORDER BY contact_id, id DESC)
    RETURNING c.id, c.public_id, c.contact_id, c.last_seq, c.last_public_seq, false
"""


def _reopen(contact_ids: list[int], now: datetime) -> dict[int, Thread]:
    if not contact_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_REOPEN_SQL, [now, contact_ids])
        threads = [Thread(*row) for row in cursor.fetchall()]
    for thread in threads:
        thread.opened = True
    return {thread.contact_id: thread for thread in threads}


def queue_unattended(conversation_ids: list[int], now: datetime) -> None:
    """Where no bot answers first, a conversation that has just begun stands in the line."""
    if not conversation_ids:
        return
    begun = [
        conversation
        for conversation in Conversation.objects.with_bot()
        .filter(pk__in=conversation_ids)
        .select_related("contact", "inbox__hours")
        if not conversation.inbox.setting("auto_reply")
    ]
    if not begun:
        return
    line_ends = waiting_line.hold_for_several({c.team_id for c in begun}, since=now)
    said, starts = [], []
    for conversation in begun:
        ahead, start = line_ends[conversation.team_id].stand_in()
        said.append(_queued_line(conversation, ahead, now))
        starts.append(When(pk=conversation.pk, then=Value(start)))
    lines_said = Message.objects.bulk_create(said)
    bus.publish(
        *(ConversationHandedOff(c.pk, HandoffReason.NO_BOT) for c in begun),
        *(ReplyPosted(message.pk, message.conversation_id) for message in lines_said),
    )
    Conversation.objects.filter(pk__in=[c.pk for c in begun]).update(
        status=Conversation.Status.QUEUED,
        owner_kind=Conversation.OwnerKind.QUEUE,
        waiting_since=Case(*starts),
        lease=F("lease") + 1,
        last_seq=F("last_seq") + 1,
        last_public_seq=F("last_seq") + 1,
    )


def _queued_line(conversation: Conversation, ahead: int, now: datetime) -> Message:
    with lines.in_language_of(conversation.contact):
        text = lines.queued(conversation.inbox, ahead=ahead, now=now)
    return Message(
        conversation=conversation,
        seq=conversation.last_seq + 1,
        kind=Message.Kind.ACTIVITY,
        author_kind=Message.AuthorKind.SYSTEM,
        inbox_id=conversation.inbox_id,
        text=text,
        meta={"activity": "queued"},
        status=Message.Status.SENT,
        created_at=now,
    )
