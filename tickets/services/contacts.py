"""Who writes to us: addresses, and which of them are one person.

A merge is links with evidence between contacts. Which contact an identity, and with it a
conversation, belongs to is a pure function of the links that stand (`_owners_by_links`), so
revoking a link restores what was, whatever came in between: each message knows its identity.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q

from tickets import bus
from tickets.envelopes import InboundMessage, Sender
from tickets.errors import NotMergeable
from tickets.events import ContactChanged, ContactMerged, ContactsAdded
from tickets.models import Contact, ContactIdentity, IdentityLink, Inbox
from tickets.services import merging
from tickets.text import clean

MAX_COMPONENT = 50  # contacts in one person; more is a shared address, not a person


# Addresses ------------------------------------------------------------------------------------


def identity_ids(batch: Sequence[InboundMessage], *, now: datetime) -> list[int]:
    """Whose each message is, in order; addresses not seen before become contacts."""
    unknown = {(m.inbox_id, m.sender.external_id): m.sender for m in batch if m.sender}
    found = identify_many(unknown, now=now) if unknown else {}
    return [
        m.identity_id or (found[m.inbox_id, m.sender.external_id] if m.sender else 0) for m in batch
    ]


_FIND_SQL = """
    SELECT i.inbox_id, i.external_id, i.id
      FROM unnest(%s::bigint[], %s::text[]) AS k(inbox_id, external_id)
      JOIN tickets_contactidentity i
        ON i.inbox_id = k.inbox_id AND i.external_id = k.external_id
"""


def _find(addresses: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    pairs = list(addresses)
    with connection.cursor() as cursor:
        cursor.execute(_FIND_SQL, [[p[0] for p in pairs], [p[1] for p in pairs]])
        return {(inbox_id, external_id): pk for inbox_id, external_id, pk in cursor.fetchall()}


@transaction.atomic
def identify_many(
    senders: dict[tuple[int, str], Sender], *, now: datetime
) -> dict[tuple[int, str], int]:
    """(inbox id, external id) -> identity id, made where missing; a few statements for all."""
    found = _find(senders)
    missing = sorted(set(senders) - set(found))
    if not missing:
        return found
    people = Contact.objects.bulk_create([_contact_of(senders[address]) for address in missing])
    ContactIdentity.objects.bulk_create(
        [
            ContactIdentity(
                inbox_id=address[0],
                external_id=address[1],
                home=contact,
                contact=contact,
                verified=senders[address].verified,
            )
            for address, contact in zip(missing, people, strict=True)
        ],
        ignore_conflicts=True,
    )
    found = _find(senders)
    # Another transaction may have made the same address: its contact stays, ours has none.
    pks = [contact.pk for contact in people]
    superfluous = set(
        Contact.objects.filter(pk__in=pks, home_identities=None).values_list("pk", flat=True)
    )
    if superfluous:
        Contact.objects.filter(pk__in=superfluous).delete()
    bus.publish(ContactsAdded(tuple(pk for pk in pks if pk not in superfluous)))
    return found


def _contact_of(sender: Sender) -> Contact:
    return Contact(
        name=clean(sender.name)[:120],
        email=clean(sender.email)[:254],
        phone=clean(sender.phone)[:40],
        avatar_url=sender.avatar_url[:500] if sender.avatar_url.startswith("https://") else "",
    )


def identify(inbox: Inbox, sender: Sender, *, now: datetime) -> ContactIdentity:
    """The identity of one address in one inbox, made where missing."""
    address = (inbox.pk, sender.external_id)
    found = identify_many({address: sender}, now=now)
    return ContactIdentity.objects.select_related("contact", "inbox").get(pk=found[address])


def owners(identity_ids: Iterable[int]) -> dict[int, tuple[int, bool]]:
    """Identity id -> (contact id, whether the contact is blocked)."""
    rows = ContactIdentity.objects.filter(pk__in=list(identity_ids)).values_list(
        "pk", "contact_id", "contact__blocked_at"
    )
    return {pk: (contact_id, blocked_at is not None) for pk, contact_id, blocked_at in rows}


@transaction.atomic
def update(contact: Contact, *, now: datetime, **values: Any) -> Contact:
    """Change what is known of a contact: name, email, phone, language, custom, avatar_url."""
    for name, value in values.items():
        setattr(contact, name, clean(value) if isinstance(value, str) else value)
    contact.save(update_fields=[*values, "updated_at"])
    bus.publish(ContactChanged(contact.pk))
    return contact


@transaction.atomic
def create(*, now: datetime, **values: Any) -> Contact:
    """A contact that people enter by hand, without an address yet."""
    contact = Contact.objects.create()
    bus.publish(ContactsAdded((contact.pk,)))
    return update(contact, now=now, **values) if values else contact


def set_blocked(contact: Contact, *, blocked: bool, now: datetime) -> None:
    update(contact, now=now, blocked_at=now if blocked else None)


# One person -----------------------------------------------------------------------------------


@transaction.atomic
def link(
    primary: Contact,
    secondary: Contact,
    *,
    evidence: IdentityLink.Evidence,
    now: datetime,
    verified: bool = False,
    detail: str = "",
    source: str = "",
    actor: User | None = None,
) -> IdentityLink:
    """Say that two contacts are one person, and why. Joins them if proven or a person says so.

    The same link twice is one link. Raises NotMergeable: a contact with itself, or a
    person of more than MAX_COMPONENT contacts.
    """
    if primary.pk == secondary.pk:
        raise NotMergeable("a contact cannot be merged with itself")
    made, created = IdentityLink.objects.get_or_create(
        primary=primary,
        secondary=secondary,
        evidence=evidence,
        revoked_at=None,
        defaults={
            "detail": detail,
            "verified": verified,
            "source": source,
            "actor": actor,
            "created_at": now,
        },
    )
    proven = verified and not made.verified
    if proven:  # it was only suggested before
        made.verified, made.detail, made.source = True, detail, source
        made.save(update_fields=["verified", "detail", "source"])
    if proven or (created and (verified or actor)):
        people = component([primary.pk, secondary.pk])
        if len(people) > MAX_COMPONENT:
            raise NotMergeable(f"one person would have more than {MAX_COMPONENT} contacts")
        _apply(people, now=now)
    return made


@transaction.atomic
def unlink(link: IdentityLink, *, now: datetime, actor: User | None = None) -> bool:
    """Revoke a link; False where it is revoked already. What it joined is as it was before."""
    people = component([link.primary_id, link.secondary_id])
    revoked = (
        IdentityLink.objects.standing().filter(pk=link.pk).update(revoked_at=now, revoked_by=actor)
    )
    if revoked:
        _apply(people, now=now)
    return bool(revoked)


def component(contact_ids: Iterable[int]) -> set[int]:
    """All contacts that the joining links make one with these."""
    people: set[int] = set()
    edge = set(contact_ids)
    while edge:
        people |= edge
        touching = IdentityLink.objects.joining().filter(
            Q(primary__in=edge) | Q(secondary__in=edge)
        )
        pairs = touching.values_list("primary_id", "secondary_id")
        edge = {pk for pair in pairs for pk in pair} - people
    return people


def _owners_by_links(people: set[int]) -> dict[int, int]:
    """Contact -> the one who stands for it: the primary of the oldest link of its component."""
    owner = {pk: pk for pk in people}
    links = (
        IdentityLink.objects.joining()
        .filter(primary__in=people)
        .order_by("pk")
        .values_list("primary_id", "secondary_id")
    )
    for primary, secondary in links:
        stays, goes = owner[primary], owner[secondary]
        for pk in [pk for pk, current in owner.items() if current == goes]:
            owner[pk] = stays
    return owner


def _apply(people: set[int], *, now: datetime) -> None:
    """Bring the computed columns in line with the links: identities, contacts, conversations."""
    contacts = Contact.objects.select_for_update(no_key=True).filter(pk__in=people)
    owner = _owners_by_links(people)
    for contact in contacts.order_by("pk"):
        stands = owner[contact.pk]
        merged_into = stands if stands != contact.pk else None
        joined = merged_into not in (None, contact.merged_into_id)
        Contact.objects.filter(pk=contact.pk).update(merged_into=merged_into)
        ContactIdentity.objects.filter(home=contact).update(contact=stands)
        bus.publish(ContactChanged(contact.pk), ContactMerged(contact.pk, joined))
    merging.settle(people, now=now)
