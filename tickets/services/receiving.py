"""Contacts' messages into the log: any number of them in one transaction.

The number of SQL statements does not grow with the batch. Live conversations are locked
in the order of their keys, so two batches never wait for each other in a circle; a number
is given only under that lock, so a log has no gap; what came before (by client or source
id) is found under it too, so nothing is stored twice.

Resends are rare, so a batch of sockets' messages is first written as if there were none; where
the unique indexes know one of them, all of it is undone and done again with a look at each.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from tickets import bus, prepared, told
from tickets.envelopes import InboundMessage, Received
from tickets.events import ConversationChanged, MessageReceived
from tickets.ids import uuid7
from tickets.models import Attachment, Message
from tickets.services import contacts, live, message_rows, opening, repeats
from tickets.services.live import Entrance, Thread
from tickets.services.message_rows import Row, SeenBefore
from tickets.services.opening import Letter
from tickets.services.repeats import Known


def receive(batch: Sequence[InboundMessage], *, now: datetime) -> list[Received]:
    """Store contacts' messages; one answer for each, in order.

    A message that was here before is answered with its first row (`duplicate`). One that
    cannot be stored is answered with `error` (`blocked`, `invalid`); the others are stored.
    """
    if not any(message.source_id for message in batch):  # platforms do deliver twice
        try:
            return _receive(batch, now=now, expecting_resends=False)
        except SeenBefore:
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
    known = repeats.known(letters) if expecting_resends else {}
    refused = _refused(letters)
    fresh = {
        identity_id
        for index, (message, identity_id) in enumerate(letters)
        if identity_id not in threads
        and index not in refused
        and not (repeats.keys(message, identity_id) & known.keys())
    }
    threads |= opening.open_threads(fresh, letters, now)
    results, rows = _number(letters, threads, known, refused, now)
    if rows:
        _write(rows, threads, entrances, now)
    return results


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


def _number(
    letters: Sequence[Letter],
    threads: dict[int, Thread],
    known: Known,
    refused: set[int],
    now: datetime,
) -> tuple[list[Received], list[Row]]:
    """Give each message its number; a repetition gets the answer of its first."""
    results: list[Received] = []
    rows: list[Row] = []
    seen = dict(known)
    for index, (message, identity_id) in enumerate(letters):
        keys = repeats.keys(message, identity_id)
        earlier = next((seen[key] for key in keys if key in seen), None)
        thread = threads.get(identity_id)
        if earlier:
            results.append(earlier)
        elif thread is None or index in refused:
            results.append(Received(error="invalid"))
        elif thread.blocked:
            results.append(Received(error="blocked"))
        else:
            row = Row(message, identity_id, thread, _place(thread, identity_id, now))
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
        identity_id=identity_id,
        seq=seq,
        skipped=skipped,
        created_at=now,
    )


def _write(
    rows: list[Row],
    threads: dict[int, Thread],
    entrances: dict[int, Entrance],
    now: datetime,
) -> None:
    """Raises SeenBefore where a row is there already."""
    touched = list({t.conversation_id: t for t in threads.values() if t.incoming}.values())
    message_rows.store(rows, touched, now)
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


def _tell(rows: list[Row], entrances: dict[int, Entrance]) -> list[told.Told] | None:
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
