"""What was said before: a second delivery of a message is answered with its first row."""

from collections.abc import Sequence

from tickets import prepared
from tickets.envelopes import InboundMessage, Received
from tickets.services.opening import Letter

Key = tuple[str, int, str]  # "client" with an identity or "source" with an inbox, and the id there
Known = dict[Key, Received]


def keys(message: InboundMessage, identity_id: int) -> set[Key]:
    """What makes a second delivery the same message."""
    found: set[Key] = set()
    if message.client_id:
        found.add(("client", identity_id, message.client_id))
    if message.source_id:
        found.add(("source", message.inbox_id, message.source_id))
    return found


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


def known(letters: Sequence[Letter]) -> Known:
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
