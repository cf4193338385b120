"""Who is one person with whom, by evidence: proven joins by itself, claimed only suggests.

A join that a person undid, or a suggestion that a person declined, is not made again from the
same evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import phonenumbers
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from tickets.envelopes import InboundMessage, Sender
from tickets.errors import NotMergeable
from tickets.models import Contact, ContactIdentity, IdentityKey, IdentityLink
from tickets.services import contacts, continuing

Kind = IdentityKey.Kind
Evidence = IdentityLink.Evidence
_EVIDENCE = {Kind.UNION: Evidence.UNIONID, Kind.EMAIL: Evidence.EMAIL, Kind.PHONE: Evidence.PHONE}
MOST_ALIKE = 10  # addresses with one key; more is a shared telephone, not a person


@dataclass(frozen=True)
class _Key:
    kind: IdentityKey.Kind
    value: str
    verified: bool


def join(batch: Sequence[InboundMessage], *, now: datetime) -> None:
    """Before messages are taken in: whoever they prove their writers to be, is so from now on.

    Two statements more for a batch whose writers bring evidence that is known, none for one whose
    bring none; a few for each writer who brings something new.
    """
    senders = {
        (m.inbox_id, m.sender.external_id): m.sender
        for m in batch
        if m.sender and (m.sender.proof or keys_of(m.sender))
    }
    if not senders:
        return
    identity_ids = contacts.identify_many(senders, now=now)
    fresh = _fresh(senders, identity_ids)
    found = ContactIdentity.objects.select_related("contact", "inbox").in_bulk(fresh)
    for identity_id, sender in fresh.items():
        note(found[identity_id], sender, now=now)


def _fresh(
    senders: dict[tuple[int, str], Sender], identity_ids: dict[tuple[int, str], int]
) -> dict[int, Sender]:
    """Those who bring what is not known of them yet."""
    known = {
        (identity_id, kind, value): verified
        for identity_id, kind, value, verified in IdentityKey.objects.filter(
            identity__in=identity_ids.values()
        ).values_list("identity", "kind", "value", "verified")
    }
    return {
        identity_ids[address]: sender
        for address, sender in senders.items()
        if sender.proof
        or any(
            known.get((identity_ids[address], key.kind, key.value), -1) < key.verified
            for key in keys_of(sender)
        )
    }


@transaction.atomic
def note(identity: ContactIdentity, sender: Sender, *, now: datetime) -> None:
    """Keep what is known of an address, and join or suggest those who have the same."""
    for key in keys_of(sender):
        kept, _ = IdentityKey.objects.get_or_create(
            identity=identity,
            kind=key.kind,
            value=key.value,
            defaults={"verified": key.verified},
        )
        if key.verified and not kept.verified:  # what was proven stays so
            kept.verified = True
            kept.save(update_fields=["verified"])
        _meet(kept, now)
        identity.refresh_from_db(fields=["contact"])
    if sender.proof:
        _come_back(identity, sender.proof, now)


def keys_of(sender: Sender) -> list[_Key]:
    """The evidence that an address brings, in the form in which it is compared."""
    keys = []
    if sender.union_id:
        keys.append(_Key(Kind.UNION, sender.union_id[:254], True))
    if email := sender.email.strip().lower():
        keys.append(_Key(Kind.EMAIL, email[:254], sender.email_verified))
    if phone := e164(sender.phone):
        keys.append(_Key(Kind.PHONE, phone, sender.phone_verified))
    return keys


def e164(phone: str) -> str:
    """+8613800138000; "" for what is no telephone number."""
    try:
        number = phonenumbers.parse(phone, settings.PHONE_REGION)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _meet(key: IdentityKey, now: datetime) -> None:
    alike = list(
        IdentityKey.objects.like(key)
        .select_related("identity__contact", "identity__inbox")
        .order_by("-verified", "pk")[: MOST_ALIKE + 1]
    )
    if len(alike) > MOST_ALIKE:
        return
    people = {other.identity.contact_id: other for other in reversed(alike)}  # one of each
    for other in people.values():
        _say_one(
            other.identity,
            key.identity,
            evidence=_EVIDENCE[Kind(key.kind)],
            verified=key.verified and other.verified,
            detail=key.value,
            now=now,
        )


def _come_back(identity: ContactIdentity, proof: str, now: datetime) -> None:
    """Somebody brought our own token from another channel: they are whom it was given to."""
    contact = continuing.whose(proof, now=now)
    if contact is None or contact.pk == identity.contact_id:
        return
    used = IdentityLink.objects.filter(evidence=Evidence.SCAN, detail=proof)
    if used.exclude(secondary=identity.home_id).exists():  # a token is one person's, once
        return
    _say_one_contacts(
        contact, identity.home, evidence=Evidence.SCAN, verified=True, detail=proof,
        source=identity.inbox.key, now=now,
    )  # fmt: skip


def _say_one(
    older: ContactIdentity,
    newer: ContactIdentity,
    *,
    evidence: IdentityLink.Evidence,
    verified: bool,
    detail: str,
    now: datetime,
) -> None:
    _say_one_contacts(
        older.home,
        newer.home,
        evidence=evidence,
        verified=verified,
        detail=detail,
        source=newer.inbox.key,
        now=now,
    )


def _say_one_contacts(
    primary: Contact,
    secondary: Contact,
    *,
    evidence: IdentityLink.Evidence,
    verified: bool,
    detail: str,
    source: str,
    now: datetime,
) -> None:
    if primary.pk == secondary.pk or declined(primary, secondary, evidence=evidence):
        return
    try:
        contacts.link(
            primary,
            secondary,
            evidence=evidence,
            verified=verified,
            detail=detail[:200],
            source=source,
            now=now,
        )
    except NotMergeable:  # one person of more than fifty addresses: people decide
        return


def declined(one: Contact, other: Contact, *, evidence: IdentityLink.Evidence) -> bool:
    """Whether a person said, of this evidence, that these two are not one."""
    return (
        IdentityLink.objects.filter(evidence=evidence, revoked_by__isnull=False)
        .filter(Q(primary=one, secondary=other) | Q(primary=other, secondary=one))
        .exists()
    )


def suggestions(contact: Contact) -> QuerySet[IdentityLink]:
    """Who might be the same person, and why; standing, neither proven nor decided."""
    people = contacts.component([contact.pk])
    return _suggestions(people)


def decline(link: IdentityLink, *, actor: User, now: datetime) -> bool:
    """A person says that these two are not one: the same evidence suggests it no more.

    False where it is revoked already.
    """
    return contacts.unlink(link, actor=actor, now=now)


def standing(contact: Contact) -> QuerySet[IdentityLink]:
    """Why the contacts of one person are one: the links that join them, the oldest first."""
    people = contacts.component([contact.pk])
    return (
        IdentityLink.objects.joining()
        .filter(primary__in=people, secondary__in=people)
        .select_related("primary", "secondary", "actor")
        .order_by("pk")
    )


def _suggestions(people: set[int]) -> QuerySet[IdentityLink]:
    return (
        IdentityLink.objects.standing()
        .filter(verified=False, actor__isnull=True)
        .filter(Q(primary__in=people) | Q(secondary__in=people))
        .exclude(primary__in=people, secondary__in=people)
        .select_related("primary", "secondary")
        .order_by("-pk")
    )
