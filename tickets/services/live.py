"""A contact's live conversation, locked: what a batch of messages starts from."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from tickets import prepared
from tickets.told import Entrance, Scene


@dataclass(slots=True)
class Thread:
    """A contact's live conversation while it is locked, and what this batch adds to it."""

    conversation_id: int
    public_id: UUID
    contact_id: int
    last_seq: int
    last_public_seq: int
    blocked: bool
    scene: Scene | None = None
    opened: bool = False  # by this batch: begun, or taken up again
    begun: bool = False
    incoming: int = 0
    reply_identity_id: int = 0

    @property
    def was_at_rest(self) -> bool:
        """It waited for the contact, or was put off: a message opens it."""
        return self.scene is not None and self.scene.status in ("waiting", "snoozed")

    def next_seq(self) -> tuple[int, tuple[int, ...]]:
        """The next number, and the notes' numbers right before it."""
        skipped = tuple(range(self.last_public_seq + 1, self.last_seq + 1))
        self.last_seq += 1
        self.last_public_seq = self.last_seq
        return self.last_seq, skipped


# Its plan must not depend on how many rows there are: see `prepared`.
_LIVE_SQL = """
    SELECT i.id, i.inbox_id, ib.key, ib.type, ib.name,
           c.id, c.public_id, c.contact_id, c.last_seq, c.last_public_seq,
           ct.blocked_at IS NOT NULL,
           c.status, c.team_id, c.assignee_id, ct.public_id, ct.name, ct.avatar_url
      FROM unnest(%s::bigint[]) AS k(identity_id)
      JOIN tickets_contactidentity i ON i.id = k.identity_id
      JOIN tickets_inbox ib ON ib.id = i.inbox_id
      JOIN tickets_contact ct ON ct.id = i.contact_id
      JOIN tickets_conversation c ON c.contact_id = i.contact_id AND c.status <> 'resolved'
     ORDER BY c.id
       FOR NO KEY UPDATE OF c
"""


def lock(identity_ids: Iterable[int]) -> tuple[dict[int, Thread], dict[int, Entrance]]:
    """The live conversation of each identity's contact, and the identity's inbox.

    Two identities may share a conversation; one whose contact has none is in neither.
    """
    threads: dict[int, Thread] = {}
    entrances: dict[int, Entrance] = {}
    by_conversation: dict[int, Thread] = {}
    with prepared.cursor() as cursor:
        cursor.execute(_LIVE_SQL, [sorted(set(identity_ids))])
        for row in cursor.fetchall():
            identity_id = row[0]
            entrances[identity_id] = Entrance(*row[1:5])
            known = by_conversation.get(row[5])
            if known is None:
                known = by_conversation[row[5]] = Thread(*row[5:11])
                known.scene = Scene(*row[11:])
            threads[identity_id] = known
    return threads, entrances


def lock_contacts(identity_ids: Iterable[int]) -> None:
    """Whoever opens a conversation holds the contact, so that one opens it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tickets_contact ct JOIN tickets_contactidentity i"
            " ON i.contact_id = ct.id WHERE i.id = ANY(%s) ORDER BY ct.id"
            " FOR NO KEY UPDATE OF ct",
            [sorted(identity_ids)],
        )
