"""Whose conversation a mail belongs to: by ids that we stored, by participants, never by subject.

A guessed id joins nothing, for only stored ones are looked for. A known id in the mail of a
stranger, who was sent the thread on, joins nothing either.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.crypto import constant_time_compare, salted_hmac

from channels_adapters.email.mime import Mail
from tickets.models import ContactIdentity, Inbox, Message, ReplyRoute

MAX_MENTIONS = 50
_LONGEST = 180  # of an id that is kept as it is
_SALT = "kefu.email.thread"


@dataclass(frozen=True)
class Thread:
    """Where a mail belongs. `identity` is whose it is joined to, None: its sender's own.

    `is_known`: it goes on with something that was said here before.
    """

    identity: ContactIdentity | None = None
    is_known: bool = False
    rule: str = "sender"


def received_id(message_id: str) -> str:
    """The source_id of a mail that came, at most 200 characters."""
    if len(message_id) > _LONGEST:
        message_id = f"<sha256.{hashlib.sha256(message_id.encode()).hexdigest()}>"
    return f"mail:{message_id}"


def sent_id(message_id: str) -> str:
    """The source_id of a mail of ours."""
    return f"sent:{message_id}"


def first_known(mentions: Sequence[str], known: Collection[str]) -> str:
    """The first id that is known, "" where none is."""
    return next((one for one in mentions if one in known), "")


def message_of(inbox: Inbox, mentions: Sequence[str]) -> Message | None:
    """The stored message that a mail of these ids goes on with."""
    names = {
        source_id: mention
        for mention in mentions[:MAX_MENTIONS]
        for source_id in (received_id(mention), sent_id(mention))
    }
    if not names:
        return None
    rows = Message.objects.filter(inbox=inbox, source_id__in=names, identity__isnull=False)
    found = {names[str(row.source_id)]: row for row in rows.select_related("identity")}
    return found.get(first_known(mentions, found))


def find(inbox: Inbox, mail: Mail) -> Thread:
    """The thread of a mail."""
    earlier = message_of(inbox, mail.mentions)
    if earlier and earlier.identity:
        if earlier.identity.external_id == mail.address:
            return Thread(is_known=True)
        if mail.address in _participants(earlier):
            return Thread(earlier.identity, True, "participant")
    if named := _named(inbox, mail):
        own = named.external_id == mail.address
        return Thread(None if own else named, True, "sender" if own else "address")
    return Thread()


def _participants(message: Message) -> set[str]:
    """Who was written to, or copied in, along with the thread's own person."""
    meta: dict[str, Any] = message.meta or {}
    raw = meta.get("raw") or {}
    route = ReplyRoute.objects.filter(identity=message.identity_id).first()
    context = route.context if route else {}
    return {*raw.get("to", ()), *raw.get("cc", ()), *context.get("cc", ()), *context.get("to", ())}


# Signed addresses -----------------------------------------------------------------------------


def plus_address(address: str, inbox_id: int, identity_id: int) -> str:
    """An address of the mailbox that names a thread: help+c42.<signature>@…"""
    local, _, domain = address.partition("@")
    return f"{local}+c{identity_id}.{_signature(inbox_id, identity_id)}@{domain}"


def _named(inbox: Inbox, mail: Mail) -> ContactIdentity | None:
    """The identity that a signed address among the recipients names."""
    for address in (*mail.to, *mail.cc, *mail.delivered_to):
        number, _, given = address.partition("@")[0].rpartition("+c")[2].partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 19 and given):
            continue
        if constant_time_compare(given, _signature(inbox.pk, int(number))):
            return ContactIdentity.objects.filter(inbox=inbox, pk=int(number)).first()
    return None


def _signature(inbox_id: int, identity_id: int) -> str:
    return salted_hmac(_SALT, f"{inbox_id}:{identity_id}", algorithm="sha256").hexdigest()[:24]
