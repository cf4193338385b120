"""Contacts' messages into the log: any number of them in one transaction.

The number of SQL statements does not grow with the batch. Live conversations are locked
in the order of their keys, so two batches never wait for each other in a circle; a number
is given only under that lock, so a log has no gap; what came before (by client or source
id) is found under it too, so nothing is stored twice.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F
from psycopg.types.json import Jsonb

from tickets import bus, prepared
from tickets.envelopes import InboundMessage, Received
from tickets.events import (
    ConversationChanged,
    ConversationHandedOff,
    HandoffReason,
    MessageReceived,
    ReplyPosted,
)
from tickets.ids import uuid7
from tickets.models import Attachment, Conversation, Inbox, Message
from tickets.services import contacts, lines

Letter = tuple[InboundMessage, int]  # a message, and the identity that it is from


@dataclass(slots=True)
class _Thread:
    """A contact's live conversation while it is locked, and what this batch adds to it."""

    conversation_id: int
    public_id: UUID
    contact_id: int
    last_seq: int
    last_public_seq: int
    blocked: bool
    opened: bool = False
    incoming: int = 0
    reply_identity_id: int = 0

    def next_seq(self) -> tuple[int, tuple[int, ...]]:
        """The next number, and the notes' numbers right before it."""
        skipped = tuple(range(self.last_public_seq + 1, self.last_seq + 1))
        self.last_seq += 1
        self.last_public_seq = self.last_seq
        return self.last_seq, skipped


@transaction.atomic
def receive(batch: Sequence[InboundMessage], *, now: datetime) -> list[Received]:
    """Store contacts' messages; one answer for each, in order.

    A message that was here before is answered with its first row (`duplicate`). One that
    cannot be stored is answered with `error` (`blocked`, `invalid`); the others are stored.
    """
    prepared.plan_for_growth()
    identity_ids = contacts.identity_ids(batch, now=now)
    letters = list(zip(batch, identity_ids, strict=True))
    threads = _lock_live(identity_ids)
    if missing := set(identity_ids) - set(threads):
        _lock_contacts(missing)
        threads |= _lock_live(missing)  # another transaction may have been faster
    known = _known(letters)
    refused = _refused(letters)
    fresh = {
        identity_id
        for index, (message, identity_id) in enumerate(letters)
        if identity_id not in threads
        and index not in refused
        and not (_keys(message, identity_id) & known.keys())
    }
    threads |= _open_threads(fresh, letters, now)
    results, rows = _number(letters, threads, known, refused, now)
    if rows:
        _write(rows, results, threads, now)
    return results


def _keys(message: InboundMessage, identity_id: int) -> set[tuple[str, int, str]]:
    """What makes a second delivery the same message."""
    keys = set()
    if message.client_id:
        keys.add(("client", identity_id, message.client_id))
    if message.source_id:
        keys.add(("source", message.inbox_id, message.source_id))
    return keys


# Reading under locks --------------------------------------------------------------------------

_LIVE_SQL = """
    SELECT i.id, c.id, c.public_id, c.contact_id, c.last_seq, c.last_public_seq,
           ct.blocked_at IS NOT NULL
      FROM tickets_contactidentity i
      JOIN tickets_contact ct ON ct.id = i.contact_id
      JOIN tickets_conversation c ON c.contact_id = i.contact_id AND c.status <> 'resolved'
     WHERE i.id = ANY(%s::bigint[])
     ORDER BY c.id
       FOR NO KEY UPDATE OF c
"""


def _lock_live(identity_ids: Iterable[int]) -> dict[int, _Thread]:
    """The live conversation of each identity's contact; two identities may share one."""
    threads: dict[int, _Thread] = {}
    by_conversation: dict[int, _Thread] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LIVE_SQL, [sorted(set(identity_ids))])
        for identity_id, *row in cursor.fetchall():
            thread = by_conversation.setdefault(row[0], _Thread(*row))
            threads[identity_id] = thread
    return threads


def _lock_contacts(identity_ids: Iterable[int]) -> None:
    """Whoever opens a conversation holds the contact, so that one opens it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tickets_contact ct JOIN tickets_contactidentity i"
            " ON i.contact_id = ct.id WHERE i.id = ANY(%s) ORDER BY ct.id"
            " FOR NO KEY UPDATE OF ct",
            [sorted(identity_ids)],
        )


# LATERAL … LIMIT 1: by the index and message by message, however a plan sees the tables.
_KNOWN_SQL = """
    SELECT 'client', k.identity_id, k.client_id, m.*, c.public_id, c.contact_id
      FROM unnest(%s::bigint[], %s::text[]) AS k(identity_id, client_id)
     CROSS JOIN LATERAL (
           SELECT id, public_id, conversation_id, seq, created_at FROM tickets_message
            WHERE identity_id = k.identity_id AND client_id = k.client_id
              AND client_id IS NOT NULL AND author_kind = 'contact' LIMIT 1) m
     CROSS JOIN LATERAL (
           SELECT public_id, contact_id FROM tickets_conversation
            WHERE id = m.conversation_id LIMIT 1) c
     UNION ALL
    SELECT 'source', k.inbox_id, k.source_id, m.*, c.public_id, c.contact_id
      FROM unnest(%s::bigint[], %s::text[]) AS k(inbox_id, source_id)
     CROSS JOIN LATERAL (
           SELECT id, public_id, conversation_id, seq, created_at FROM tickets_message
            WHERE inbox_id = k.inbox_id AND source_id = k.source_id
              AND source_id IS NOT NULL LIMIT 1) m
     CROSS JOIN LATERAL (
           SELECT public_id, contact_id FROM tickets_conversation
            WHERE id = m.conversation_id LIMIT 1) c
"""


def _known(
    letters: Sequence[Letter],
) -> dict[tuple[str, int, str], Received]:
    """Those of the batch that are stored already."""
    by_client = [(i, m.client_id) for m, i in letters if m.client_id]
    by_source = [(m.inbox_id, m.source_id) for m, _ in letters if m.source_id]
    with prepared.cursor() as cursor:
        cursor.execute(
            _KNOWN_SQL,
            [
                [owner for owner, _ in by_client],
                [key for _, key in by_client],
                [owner for owner, _ in by_source],
                [key for _, key in by_source],
            ],
        )
        return {
            (kind, owner, key): Received(
                message_id=message_id,
                public_id=public_id,
                conversation_id=conversation_id,
                conversation_public_id=conversation_public_id,
                contact_id=contact_id,
                seq=seq,
                created_at=created_at,
                duplicate=True,
            )
            for kind, owner, key, message_id, public_id, conversation_id, seq, created_at,
                conversation_public_id, contact_id in cursor.fetchall()
        }  # fmt: skip


def _refused(letters: Sequence[Letter]) -> set[int]:
    """The indexes of messages that name an upload or a message that is not their sender's."""
    uploads = {(a, i) for m, i in letters for a in m.attachment_ids}
    quotes = {(m.reply_to, i) for m, i in letters if m.reply_to}
    free = set(
        Attachment.objects.select_for_update()
        .filter(public_id__in=[a for a, _ in uploads], message=None)
        .values_list("public_id", "identity_id")
        if uploads
        else []
    )
    seen = set(
        Message.objects.public()
        .filter(
            public_id__in=[q for q, _ in quotes],
            conversation__contact__identities__in=[i for _, i in quotes],
        )
        .values_list("public_id", "conversation__contact__identities")
        if quotes
        else []
    )
    return {
        index
        for index, (message, i) in enumerate(letters)
        if any((a, i) not in free for a in message.attachment_ids)
        or (message.reply_to and (message.reply_to, i) not in seen)
    }


# Opening --------------------------------------------------------------------------------------


@transaction.atomic
def open_live(
    *, identity_id: int, inbox: Inbox, page: dict[str, str], now: datetime
) -> Conversation | None:
    """The contact's live conversation, opened before their first word; None: they are blocked."""
    threads = _lock_live([identity_id])
    if not threads:
        _lock_contacts([identity_id])
        threads = _lock_live([identity_id])
    if not threads:
        first = InboundMessage(inbox_id=inbox.pk, identity_id=identity_id, page=page)
        threads = _open_threads({identity_id}, [(first, identity_id)], now)
    thread = threads[identity_id]
    if thread.blocked:
        return None
    if thread.opened:
        bus.publish(ConversationChanged(thread.conversation_id))
    return Conversation.objects.get(pk=thread.conversation_id)


def _open_threads(
    identity_ids: set[int],
    letters: Sequence[Letter],
    now: datetime,
) -> dict[int, _Thread]:
    """A live conversation for identities whose contact has none, reopened or new."""
    if not identity_ids:
        return {}
    first: dict[int, InboundMessage] = {}
    for message, identity_id in letters:
        first.setdefault(identity_id, message)
    inboxes = Inbox.objects.in_bulk({first[i].inbox_id for i in identity_ids})
    rows = contacts.owners(identity_ids)
    threads: dict[int, _Thread] = {}
    by_contact: dict[int, _Thread] = {}
    reopened = _reopen(
        [contact_id for i, (contact_id, _) in rows.items() if _reopens(inboxes, first[i])], now
    )
    fresh: dict[int, Conversation] = {}
    for identity_id, (contact_id, blocked) in rows.items():
        thread = by_contact.get(contact_id) or reopened.get(contact_id)
        if thread is None:
            inbox = inboxes[first[identity_id].inbox_id]
            opened = _conversation(contact_id, identity_id, inbox, first[identity_id], now)
            thread = _Thread(0, opened.public_id, contact_id, 0, 0, blocked, opened=True)
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


def _reopen(contact_ids: list[int], now: datetime) -> dict[int, _Thread]:
    if not contact_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_REOPEN_SQL, [now, contact_ids])
        threads = [_Thread(*row) for row in cursor.fetchall()]
    for thread in threads:
        thread.opened = True
    return {thread.contact_id: thread for thread in threads}


# Writing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """One message to write, and its place in the log."""

    message: InboundMessage
    identity_id: int
    thread: _Thread
    result: Received


def _number(
    letters: Sequence[Letter],
    threads: dict[int, _Thread],
    known: dict[tuple[str, int, str], Received],
    refused: set[int],
    now: datetime,
) -> tuple[list[Received], list[_Row]]:
    """Give each message its number; a repetition gets the answer of its first."""
    results: list[Received] = []
    rows: list[_Row] = []
    seen = dict(known)
    for index, (message, identity_id) in enumerate(letters):
        keys = _keys(message, identity_id)
        earlier = next((seen[key] for key in keys if key in seen), None)
        thread = threads.get(identity_id)
        if earlier:
            results.append(earlier)
        elif thread is None or index in refused:
            results.append(Received(error="invalid"))
        elif thread.blocked:
            results.append(Received(error="blocked"))
        else:
            row = _Row(message, identity_id, thread, _place(thread, identity_id, now))
            seen |= dict.fromkeys(keys, row.result)
            results.append(row.result)
            rows.append(row)
    return results, rows


def _place(thread: _Thread, identity_id: int, now: datetime) -> Received:
    seq, skipped = thread.next_seq()
    thread.incoming += 1
    thread.reply_identity_id = identity_id
    return Received(
        public_id=uuid7(),
        conversation_id=thread.conversation_id,
        conversation_public_id=thread.public_id,
        contact_id=thread.contact_id,
        seq=seq,
        skipped=skipped,
        created_at=now,
    )


_INSERT_SQL = """
    INSERT INTO tickets_message (public_id, conversation_id, seq, kind, author_kind, identity_id,
           inbox_id, client_id, source_id, text, reply_to_id, meta, status, provider_code,
           provider_detail, created_at)
    SELECT r.public_id, r.conversation_id, r.seq, 'incoming', 'contact', r.identity_id,
           r.inbox_id, r.client_id, r.source_id, r.text,
           (SELECT q.id FROM tickets_message q WHERE q.public_id = r.reply_to),
           r.meta, 'sent', '', '', %s::timestamptz
      FROM unnest(%s::uuid[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[], %s::text[],
                  %s::text[], %s::text[], %s::uuid[], %s::jsonb[])
           AS r(public_id, conversation_id, seq, identity_id, inbox_id, client_id, source_id,
                text, reply_to, meta)
    RETURNING public_id, id
"""

_UPDATE_SQL = """
    UPDATE tickets_conversation c
       SET last_seq = u.last_seq, last_public_seq = u.last_seq,
           unread = c.unread + u.incoming, last_message_at = u.now, updated_at = u.now,
           reply_identity_id = u.identity_id,
           waiting_since = COALESCE(c.waiting_since, u.now),
           status = CASE WHEN c.status IN ('waiting', 'snoozed') THEN 'open' ELSE c.status END,
           snoozed_until = NULL
      FROM (SELECT *, %s::timestamptz AS now
              FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::bigint[])
                   AS k(id, last_seq, incoming, identity_id)) u
     WHERE c.id = u.id
"""

_CLAIM_SQL = """
    UPDATE tickets_attachment a SET message_id = u.message_id, position = u.position
      FROM unnest(%s::uuid[], %s::bigint[], %s::int[]) AS u(public_id, message_id, position)
     WHERE a.public_id = u.public_id
"""


def _write(
    rows: list[_Row], results: list[Received], threads: dict[int, _Thread], now: datetime
) -> None:
    touched = list({t.conversation_id: t for t in threads.values() if t.incoming}.values())
    with prepared.cursor() as cursor:
        cursor.execute(_INSERT_SQL, [now, *_columns(rows)])
        ids: dict[UUID, int] = dict(cursor.fetchall())
    with connection.cursor() as cursor:
        for row in rows:
            row.result.message_id = ids[row.result.public_id]  # type: ignore[index]
        cursor.execute(
            _UPDATE_SQL,
            [
                now,
                [t.conversation_id for t in touched],
                [t.last_seq for t in touched],
                [t.incoming for t in touched],
                [t.reply_identity_id for t in touched],
            ],
        )
        claims = [
            (attachment_id, row.result.message_id, position)
            for row in rows
            for position, attachment_id in enumerate(row.message.attachment_ids)
        ]
        if claims:
            cursor.execute(_CLAIM_SQL, [list(column) for column in zip(*claims, strict=True)])
    opened = [t.conversation_id for t in touched if t.opened]
    for conversation_id in opened:  # told before its first message
        bus.publish(ConversationChanged(conversation_id))
    bus.publish(
        MessageReceived(
            tuple(row.result.message_id for row in rows),
            tuple(t.conversation_id for t in touched),
        )
    )
    _queue_unattended(opened, now)


def _columns(rows: list[_Row]) -> list[list[Any]]:
    return [
        [row.result.public_id for row in rows],
        [row.result.conversation_id for row in rows],
        [row.result.seq for row in rows],
        [row.identity_id for row in rows],
        [row.message.inbox_id for row in rows],
        [row.message.client_id for row in rows],
        [row.message.source_id for row in rows],
        [row.message.text for row in rows],
        [row.message.reply_to for row in rows],
        [Jsonb(row.message.raw) if row.message.raw else None for row in rows],
    ]


def _queue_unattended(conversation_ids: list[int], now: datetime) -> None:
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
    waiting = Conversation.objects.filter(
        status=Conversation.Status.QUEUED, team__in={c.team_id for c in begun}
    )
    ahead = Counter(dict(waiting.values_list("team").annotate(Count("pk"))))
    said = []
    for conversation in begun:
        said.append(_queued_line(conversation, ahead[conversation.team_id], now))
        ahead[conversation.team_id] += 1
        bus.publish(ConversationHandedOff(conversation.pk, HandoffReason.NO_BOT))
    for message in Message.objects.bulk_create(said):
        bus.publish(ReplyPosted(message.pk, message.conversation_id))
    Conversation.objects.filter(pk__in=[c.pk for c in begun]).update(
        status=Conversation.Status.QUEUED,
        owner_kind=Conversation.OwnerKind.QUEUE,
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
