"""A batch of numbered messages into the tables, in a constant number of statements."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from tickets import prepared, tracing
from tickets.envelopes import InboundMessage, Received
from tickets.services.live import Thread


@dataclass(slots=True)
class Row:
    """One message to write, and its place in the log."""

    message: InboundMessage
    identity_id: int
    thread: Thread
    result: Received


class SeenBefore(Exception):
    """A message of the batch is stored already."""


_INSERT_SQL = """
    INSERT INTO tickets_message (public_id, conversation_id, seq, kind, author_kind, identity_id,
           inbox_id, client_id, source_id, text, reply_to_id, meta, status, provider_code,
           provider_detail, created_at, trace)
    SELECT r.public_id, r.conversation_id, r.seq, 'incoming', 'contact', r.identity_id,
           r.inbox_id, r.client_id, r.source_id, r.text,
           (SELECT q.id FROM tickets_message q WHERE q.public_id = r.reply_to),
           r.meta, 'sent', '', '', %s::timestamptz, r.trace
      FROM unnest(%s::uuid[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[], %s::text[],
                  %s::text[], %s::text[], %s::uuid[], %s::jsonb[], %s::text[])
           AS r(public_id, conversation_id, seq, identity_id, inbox_id, client_id, source_id,
                text, reply_to, meta, trace)
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


def store(rows: list[Row], touched: list[Thread], now: datetime) -> None:
    """Insert the messages, bring their conversations up to date, give each row its `message_id`.

    Raises SeenBefore where a row is there already.
    """
    with prepared.cursor() as cursor:
        cursor.execute(_INSERT_SQL, [now, *_columns(rows)])
        ids: dict[UUID, int] = dict(cursor.fetchall())
        if len(ids) < len(rows):
            raise SeenBefore
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


def _claim_attachments(rows: list[Row]) -> None:
    claims = [
        (attachment_id, row.result.message_id, position)
        for row in rows
        for position, attachment_id in enumerate(row.message.attachment_ids)
    ]
    if claims:
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM_SQL, [list(column) for column in zip(*claims, strict=True)])


def _columns(rows: list[Row]) -> list[list[Any]]:
    trace = tracing.current()
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
        [Jsonb(meta) if (meta := row.message.meta()) else None for row in rows],
        [row.message.trace or trace for row in rows],
    ]
