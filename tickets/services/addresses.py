"""Addresses that people and programs enter, rather than write from."""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError, transaction

from tickets import bus
from tickets.errors import AlreadyThere, BadAttachment
from tickets.events import ContactChanged
from tickets.models import Attachment, Contact, ContactIdentity, Inbox


@transaction.atomic
def add(contact: Contact, inbox: Inbox, external_id: str) -> ContactIdentity:
    """One more address of a contact. Raises AlreadyThere where somebody has it."""
    try:
        with transaction.atomic():
            identity = ContactIdentity.objects.create(
                inbox=inbox, external_id=external_id, home=contact, contact=contact
            )
    except IntegrityError as error:
        raise AlreadyThere(f"{external_id} is known in {inbox.key}") from error
    bus.publish(ContactChanged(contact.pk))
    return identity


def give_uploads(
    identity: ContactIdentity, public_ids: Sequence[UUID], *, uploader_id: int | None
) -> None:
    """Make a program's uploads those of the address whose message they come with.

    Raises BadAttachment: not the program's, or sent already.
    """
    free = Attachment.objects.filter(
        public_id__in=public_ids, message=None, identity=None, uploader_id=uploader_id
    )
    if free.update(identity=identity, uploader=None) < len(set(public_ids)):
        raise BadAttachment("an upload is not yours, or was sent already")
