"""Contacts' messages into the log: any number of them in one transaction.

The number of SQL statements does not grow with the batch. Live conversations are locked
in the order of their keys, so two batches never wait for each other in a circle; a number
is given only under that lock, so a log has no gap; what came before (by client or source
id) is found under it too, so nothing is stored twice.

Resends are rare, so a batch of sockets' messages is first written as if there were none; where
the unique indexes know one of them, all of it is undone and done again with a look at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from tickets import bus, prepared, told
from tickets.envelopes import InboundMessage, Received
from tickets.events import ConversationChanged, MessageReceived
from tickets.ids import uuid7
from tickets.models import Attachment, Message
from tickets.services import contacts, live, opening
from tickets.services.live import Entrance, Thread
from tickets.services.opening import Letter

Known = dict[tuple[str, int, str], Received]


class _SeenBefore(Exception):
    """A message of the batch is stored already."""


def receive(batch: Sequence[InboundMessage], *, now: datetime) -> list[Received]:
    """Store contacts' messages; one answer for each, in order.

    A message that was here before is answered with its first row (`duplicate`). One that
    cannot be stored is answered with `error` (`blocked`, `invalid`); the others are stored.
    """
    if not any(message.source_id for message in batch):  # platforms do deliver twice
        try:
            return _receive(batch, now=now, expecting_resends=False)
        except _SeenBefore:
            pass
    return _receive(batch, now=now, expecting_resends=True)


@transaction.atomic
def _receive(
    batch: Sequence[InboundMessage], *, now: datetime, expecting_resends: bool
) -> list[Received]:
    prepared.plan_for_growth()
    identity_ids = contacts.identity_ids(batch, now=now)
    letters = list(zip(batch, identity_ids, strict=True))
    threads, entrances = live.lock(identity_ids)
    if missing := set(identity_ids) - set(threads):
        live.lock_contacts(missing)
        found, _ = live.lock(missing)  # another transaction may have been faster
        threads |= found
        expecting_resends = True  # of what was said in a conversation that is over
    known = _known(letters) if expecting_resends else {}
    refused = _refused(letters)
    fresh = {
        identity_id
        for index, (message, identity_id) in enumerate(letters)
        if identity_id not in threads
        and index not in refused
        and not (_keys(message, identity_id) & known.keys())
    }
    threads |= opening.open_threads(fresh, letters, now)
    results, rows = _number(letters, threads, known, refused, now)
    if rows:
        _write(rows, threads, entrances, now)
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


def _known(letters: Sequence[Letter]) -> Known:
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


# Writing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """One message to write, and its place in the log."""

    message: InboundMessage
    identity_id: int
    thread: Thread
    result: Received


def _number(
    letters: Sequence[Letter],
    threads: dict[int, Thread],
    known: Known,
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


def _place(thread: Thread, identity_id: int, now: datetime) -> Received:
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
        ON CONFLICT DO NOTHING
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
    rows: list[_Row],
    threads: dict[int, Thread],
    entrances: dict[int, Entrance],
    now: datetime,
) -> None:
    """Raises _SeenBefore where a row is there already."""
    touched = list({t.conversation_id: t for t in threads.values() if t.incoming}.values())
    with prepared.cursor() as cursor:
        cursor.execute(_INSERT_SQL, [now, *_columns(rows)])
        ids: dict[UUID, int] = dict(cursor.fetchall())
        if len(ids) < len(rows):
            raise _SeenBefore
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
    _claim_attachments(rows)
    opened = [t for t in touched if t.opened]
    event = MessageReceived(
        tuple(row.result.message_id for row in rows),
        tuple(t.conversation_id for t in touched),
        tuple(t.conversation_id for t in touched if t.was_at_rest),
    )
    told.remember(event, _tell(rows, entrances))
    # A conversation is told before its first message.
    changes = (ConversationChanged(t.conversation_id, begun=t.begun) for t in opened)
    bus.publish(*changes, event)
    opening.queue_unattended([t.conversation_id for t in opened], now)


def _claim_attachments(rows: list[_Row]) -> None:
    claims = [
        (attachment_id, row.result.message_id, position)
        for row in rows
        for position, attachment_id in enumerate(row.message.attachment_ids)
    ]
    if claims:
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM_SQL, [list(column) for column in zip(*claims, strict=True)])


def _tell(rows: list[_Row], entrances: dict[int, Entrance]) -> list[told.Told] | None:
    """What is told of these messages; None where it has to be read: files, a conversation's first.

    In the order of their logs: a batch keeps the order of each writer.
    """
    messages = []
    for row in rows:
        scene, entrance = row.thread.scene, entrances.get(row.identity_id)
        inbox_id = row.message.inbox_id
        if scene is None or entrance is None or entrance.inbox_id != inbox_id:
            return None
        if row.message.attachment_ids:
            return None
        messages.append(told.incoming(row.message, row.result, scene, entrance))
    return messages


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
