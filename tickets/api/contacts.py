"""Contacts, their addresses, and which of them are one person."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tickets import policy
from tickets.api import lookups, shapes
from tickets.api.base import ApiViewSet
from tickets.api.errors import Conflict, Refused
from tickets.api.fields import (
    IdField,
    ObjectField,
    PageFilters,
    StrictBooleanField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.models import Contact, ContactIdentity, IdentityLink, Inbox
from tickets.payloads import contact_payload, inbox_payload, link_payload
from tickets.services import addresses, audit, configuration, contacts, joining


class ContactFilters(PageFilters):
    q = serializers.CharField(required=False, max_length=200, help_text="In name, email or phone")
    identity = serializers.CharField(required=False, max_length=200, help_text="An external id")


class ContactBody(StrictSerializer):
    name = TypedCharField(required=False, allow_blank=True, max_length=120)
    email = serializers.EmailField(required=False, allow_blank=True, max_length=254)
    phone = TypedCharField(required=False, allow_blank=True, max_length=40)
    avatar = serializers.URLField(required=False, allow_null=True, allow_blank=True, max_length=500)
    language = TypedCharField(required=False, allow_blank=True, max_length=16)
    custom = ObjectField(required=False)
    blocked = StrictBooleanField(required=False)


class IdentityBody(StrictSerializer):
    inbox = IdField()
    external_id = TypedCharField(max_length=200)


class MergeBody(StrictSerializer):
    contact = IdField()


def identity_payload(identity: ContactIdentity) -> dict[str, Any]:
    return {
        "id": str(identity.public_id),
        "inbox": inbox_payload(identity.inbox),
        "external_id": identity.external_id,
        "verified": identity.verified,
    }


class ContactViews(ApiViewSet):
    """contacts/"""

    def seen(self) -> QuerySet[Contact]:
        return policy.contacts(self.principal).select_related("merged_into")

    def get_contact(self, id: str) -> Contact:
        return lookups.visible(self.seen(), id)

    @property
    def actor(self) -> User | None:
        user_id = self.principal.user_id
        return User.objects.get(pk=user_id) if user_id else None

    @extend_schema(
        parameters=[ContactFilters], responses={200: shapes.page_of(shapes.ContactShape)}
    )
    def list(self, request: Request) -> Response:
        wanted = self.filters(ContactFilters)
        rows = _filtered(self.seen().filter(merged_into=None), wanted)
        return NEWEST_FIRST.page(request, rows, wanted, contact_payload)

    @extend_schema(request=ContactBody, responses={201: shapes.ContactShape})
    @transaction.atomic
    def create(self, request: Request) -> Response:
        contact = self._write(contacts.create(now=self.now), self.body(ContactBody))
        return Response(contact_payload(contact), status=201)

    @extend_schema(responses={200: shapes.ContactShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(contact_payload(self.get_contact(id)))

    @extend_schema(request=ContactBody, responses={200: shapes.ContactShape})
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        contact = self.get_contact(id)
        return Response(contact_payload(self._write(contact, self.body(ContactBody))))

    def _write(self, contact: Contact, wanted: dict[str, Any]) -> Contact:
        blocked = wanted.pop("blocked", None)
        if "avatar" in wanted:
            wanted["avatar_url"] = wanted.pop("avatar") or ""
        if wanted:
            contacts.update(contact, now=self.now, **wanted)
        if blocked is not None and blocked != (contact.blocked_at is not None):
            contacts.set_blocked(contact, blocked=blocked, now=self.now)
        return contact

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        with audit.acting(None):  # who is to be forgotten is not named in a log
            configuration.remove(self.get_contact(id))
        return Response(status=204)

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.IdentityShape)})
    def identities(self, request: Request, id: str) -> Response:
        rows = self.get_contact(id).identities.select_related("inbox")
        return NEWEST_FIRST.page(request, rows, self.filters(PageFilters), identity_payload)

    @extend_schema(request=IdentityBody, responses={201: shapes.IdentityShape})
    def add_identity(self, request: Request, id: str) -> Response:
        contact = self.get_contact(id)
        wanted = self.body(IdentityBody)
        inbox = lookups.named(Inbox.objects.all(), "inbox", key=wanted["inbox"])
        if contact.merged_into:
            raise Conflict("merged", "this contact was merged into another")
        identity = addresses.add(contact, inbox, wanted["external_id"])
        return Response(identity_payload(identity), status=201)

    @extend_schema(request=MergeBody, responses={200: shapes.LinksShape})
    def merge(self, request: Request, id: str) -> Response:
        """Say that the other contact is this one. Undone by `links/{link}/undo/`."""
        contact = self.get_contact(id)
        other = lookups.referred(self.seen(), "contact", self.body(MergeBody)["contact"])
        actor = self.actor
        link = contacts.link(
            contact,
            other,
            evidence=IdentityLink.Evidence.MANUAL,
            # A program that acts for nobody decides by its own right: its word joins too.
            verified=actor is None,
            source="api",
            actor=actor,
            now=self.now,
        )
        return Response({"links": [str(link.public_id)]})

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.LinkShape)})
    def links(self, request: Request, id: str) -> Response:
        """Why the contacts of this person are one; each is undone by `links/{link}/undo/`."""
        rows = joining.standing(self.get_contact(id))
        return NEWEST_FIRST.page(request, rows, self.filters(PageFilters), link_payload)

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.LinkShape)})
    def suggestions(self, request: Request, id: str) -> Response:
        """Who might be the same person: joined by `merge/`, refused by `decline/`."""
        rows = self._suggested(self.get_contact(id))
        return NEWEST_FIRST.page(request, rows, self.filters(PageFilters), link_payload)

    @extend_schema(request=None, responses={204: None})
    def decline(self, request: Request, id: str, link: str) -> Response:
        """Say that it is not the same person: the same evidence does not suggest it again."""
        found = lookups.visible(self._suggested(self.get_contact(id)), link)
        actor = self.actor
        if actor is None:
            raise Refused(403, "no_agent", "this key acts for no agent who could decide")
        joining.decline(found, actor=actor, now=self.now)
        return Response(status=204)

    def _suggested(self, contact: Contact) -> QuerySet[IdentityLink]:
        """Only of people whom one may see: a suggestion names the other one."""
        seen = self.seen().values("pk")
        return joining.suggestions(contact).filter(primary__in=seen, secondary__in=seen)

    @extend_schema(request=None, responses={200: shapes.ContactShape})
    def undo(self, request: Request, id: str, link: str) -> Response:
        contact = self.get_contact(id)
        people = contacts.component([contact.pk])
        joined = Q(verified=True) | Q(actor__isnull=False)  # what is only suggested is declined
        touching = Q(primary__in=people) | Q(secondary__in=people)
        links = IdentityLink.objects.filter(joined & touching)
        contacts.unlink(lookups.visible(links, link), actor=self.actor, now=self.now)
        return Response(contact_payload(Contact.objects.get(pk=contact.pk)))


def _filtered(rows: QuerySet[Contact], wanted: dict[str, Any]) -> QuerySet[Contact]:
    if "identity" in wanted:
        theirs = ContactIdentity.objects.filter(
            contact=OuterRef("pk"), external_id=wanted["identity"]
        )
        rows = rows.filter(Exists(theirs))
    if "q" in wanted:
        words = wanted["q"]
        rows = rows.filter(
            Q(name__icontains=words) | Q(email__icontains=words) | Q(phone__icontains=words)
        )
    return rows
