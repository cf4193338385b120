"""Conversations, what is said in them, and whose they are."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tickets import destinations, payloads, policy, trace
from tickets.api import lookups, shapes
from tickets.api.base import ApiViewSet
from tickets.api.errors import Refused
from tickets.api.fields import (
    IdField,
    MomentField,
    ObjectField,
    PageFilters,
    StrictBooleanField,
    StrictIntegerField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST, Pager
from tickets.ids import parse_public_id
from tickets.models import ContactIdentity, Conversation, Label, Message
from tickets.services import conversations, messages, search

MAX_SEQ = 2**31 - 1
MAX_NOTE = 20_000  # code points; a reply's limit is its inbox's
PRIORITY_NUMBERS = {name: number for number, name in payloads.PRIORITIES.items()}


class ConversationFilters(PageFilters):
    status = serializers.ChoiceField(Conversation.Status.values, required=False)
    inbox = IdField(required=False)
    team = IdField(required=False)
    assignee = serializers.CharField(required=False, max_length=150)
    label = serializers.CharField(required=False, max_length=40)
    contact = IdField(required=False)
    q = serializers.CharField(required=False, max_length=200, help_text="Words said in it")
    updated_after = MomentField(required=False)


class ConversationPatch(StrictSerializer):
    labels = serializers.ListField(
        child=TypedCharField(max_length=40), required=False, max_length=50
    )
    priority = serializers.ChoiceField(list(PRIORITY_NUMBERS), required=False)
    custom = ObjectField(required=False)


class MessageFilters(PageFilters):
    after_seq = serializers.IntegerField(required=False, min_value=0, max_value=MAX_SEQ)


class NewMessage(StrictSerializer):
    text = TextField(required=False, default="", allow_blank=True)
    note = StrictBooleanField(required=False, default=False)
    attachments = serializers.ListField(child=IdField(), required=False, default=[])
    identity = IdField(required=False, allow_null=True, default=None)
    client_id = TypedCharField(required=False, allow_null=True, default=None, max_length=64)
    reply_to = IdField(required=False, allow_null=True, default=None)
    if_last_seq = StrictIntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=MAX_SEQ
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["text"].strip() and not attrs["attachments"]:
            raise ValidationError({"text": ["text or attachments are required"]}, code="required")
        if len(attrs["attachments"]) > 10:
            raise Refused(413, "too_large", "more than 10 attachments")
        return attrs


class Nothing(StrictSerializer):
    """A body without fields."""


class AssignBody(StrictSerializer):
    agent = TypedCharField(max_length=150)


class TransferBody(StrictSerializer):
    team = IdField(required=False, allow_null=True)
    agent = TypedCharField(required=False, allow_null=True, max_length=150)
    note = TextField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("team") and not attrs.get("agent"):
            raise ValidationError({"team": ["a team or an agent is required"]}, code="required")
        return attrs


class SnoozeBody(StrictSerializer):
    until = MomentField()


BY_SEQ: Pager[Message] = Pager(order=("seq",), newest_first=False)


class ConversationViews(ApiViewSet):
    """conversations/"""

    def seen(self) -> QuerySet[Conversation]:
        return policy.conversations(self.principal)

    def get_conversation(self, id: str) -> Conversation:
        return lookups.visible(payloads.conversations_for_payload(self.seen()), id)

    def answer(self, conversation: Conversation) -> Response:
        """As it stands now; what one gave away one may not see any more, but was told of."""
        everything = Conversation.objects.filter(pk=conversation.pk)
        row = payloads.conversations_for_payload(everything).get()
        return Response(payloads.conversation_payload(row))

    @extend_schema(
        parameters=[ConversationFilters],
        responses={200: shapes.page_of(shapes.ConversationShape)},
    )
    def list(self, request: Request) -> Response:
        wanted = self.filters(ConversationFilters)
        rows = payloads.conversations_for_payload(_filtered(self.seen(), wanted))
        return NEWEST_FIRST.page(request, rows, wanted, payloads.conversation_payload)

    @extend_schema(responses={200: shapes.ConversationShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(payloads.conversation_payload(self.get_conversation(id)))

    @extend_schema(request=ConversationPatch, responses={200: shapes.ConversationShape})
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        conversation = self.get_conversation(id)
        wanted = self.body(ConversationPatch)
        labels = lookups.labels(wanted["labels"]) if "labels" in wanted else None
        if labels is not None:
            conversations.set_labels(conversation, labels, now=self.now)
        if "priority" in wanted:
            priority = PRIORITY_NUMBERS[wanted["priority"]]
            conversations.set_priority(conversation, priority, now=self.now)
        if "custom" in wanted:
            conversations.set_custom(conversation, wanted["custom"], now=self.now)
        return self.answer(conversation)

    @extend_schema(
        parameters=[MessageFilters], responses={200: shapes.page_of(shapes.MessageShape)}
    )
    def messages(self, request: Request, id: str) -> Response:
        conversation = lookups.visible(self.seen(), id)
        wanted = self.filters(MessageFilters)
        log = Message.objects.filter(conversation=conversation)
        rows = payloads.messages_for_payload(log.filter(seq__gt=wanted.get("after_seq", 0)))
        return BY_SEQ.page(request, rows, wanted, payloads.message_payload)

    @extend_schema(request=NewMessage, responses={201: shapes.MessageShape})
    def create_message(self, request: Request, id: str) -> Response:
        conversation = lookups.visible(self.seen().select_related("inbox"), id)
        wanted = self.body(NewMessage)
        limit = MAX_NOTE if wanted["note"] else conversation.inbox.setting("text_limit")
        if len(wanted["text"]) > limit:
            raise Refused(413, "too_large", f"more than {limit} characters")
        message = conversations.post_reply(
            conversation,
            author=self.author,
            text=wanted["text"],
            note=wanted["note"],
            attachments=lookups.upload_ids(wanted["attachments"]),
            identity=_identity(conversation, wanted["identity"]),
            client_id=wanted["client_id"],
            reply_to=_replied(conversation, wanted["reply_to"]),
            if_last_seq=wanted["if_last_seq"],
            now=self.now,
        )
        stored = payloads.messages_for_payload(Message.objects.filter(pk=message.pk)).get()
        return Response(payloads.message_payload(stored), status=201)

    @extend_schema(responses={200: shapes.TraceShape})
    def trace(self, request: Request, id: str, message: str) -> Response:
        """The way of one message, hop by hop."""
        log = Message.objects.filter(conversation=lookups.visible(self.seen(), id))
        return Response(trace.trace_payload(lookups.visible(log, message)))

    @extend_schema(request=Nothing, responses={202: shapes.MessageShape})
    def resend(self, request: Request, id: str, message: str) -> Response:
        """Try a reply that failed again; 409 where it did not fail or its window is closed."""
        log = Message.objects.filter(conversation=self.get_conversation(id), kind="outgoing")
        found = lookups.visible(log, message)
        self.body(Nothing)
        messages.ask_again(found, now=self.now)
        stored = payloads.messages_for_payload(Message.objects.filter(pk=found.pk)).get()
        return Response(payloads.message_payload(stored), status=202)

    @extend_schema(responses={200: shapes.DestinationsShape})
    def destinations(self, request: Request, id: str) -> Response:
        """Where an answer can go, with what each platform still takes; and who is there."""
        found = lookups.visible(self.seen().select_related("reply_identity"), id)
        return Response(destinations.of(found, now=self.now))

    # Whose it is; each of these is 409 illegal_status where the conversation does not allow it.

    @extend_schema(request=AssignBody, responses={200: shapes.ConversationShape})
    def assign(self, request: Request, id: str) -> Response:
        conversation = self.get_conversation(id)
        agent = lookups.active_user(self.body(AssignBody)["agent"])
        conversations.assign(conversation, agent=agent, by=self.author, now=self.now)
        return self.answer(conversation)

    @extend_schema(request=TransferBody, responses={200: shapes.ConversationShape})
    def transfer(self, request: Request, id: str) -> Response:
        conversation = self.get_conversation(id)
        wanted = self.body(TransferBody)
        agent = wanted.get("agent")
        conversations.transfer(
            conversation,
            team=lookups.team(wanted.get("team")),
            agent=lookups.active_user(agent) if agent else None,
            note=wanted["note"],
            by=self.author,
            now=self.now,
        )
        return self.answer(conversation)

    @extend_schema(request=Nothing, responses={200: shapes.ConversationShape})
    def take_over(self, request: Request, id: str) -> Response:
        conversation = self.get_conversation(id)
        self.body(Nothing)
        if self.principal.user_id is None:
            raise Refused(403, "no_agent", "this key acts for no agent who could take over")
        agent = User.objects.get(pk=self.principal.user_id)
        conversations.take_over(conversation, agent=agent, now=self.now)
        return self.answer(conversation)

    @extend_schema(request=Nothing, responses={200: shapes.ConversationShape})
    def return_to_bot(self, request: Request, id: str) -> Response:
        return self._move(id, conversations.return_to_bot)

    @extend_schema(request=Nothing, responses={200: shapes.ConversationShape})
    def resolve(self, request: Request, id: str) -> Response:
        return self._move(id, conversations.resolve)

    @extend_schema(request=Nothing, responses={200: shapes.ConversationShape})
    def reopen(self, request: Request, id: str) -> Response:
        return self._move(id, conversations.reopen)

    @extend_schema(request=SnoozeBody, responses={200: shapes.ConversationShape})
    def snooze(self, request: Request, id: str) -> Response:
        conversation = self.get_conversation(id)
        until = self.body(SnoozeBody)["until"]
        if until <= self.now:
            raise ValidationError({"until": ["a moment to come is expected"]}, code="past")
        conversations.snooze(conversation, until=until, by=self.author, now=self.now)
        return self.answer(conversation)

    def _move(self, id: str, move: Any) -> Response:
        conversation = self.get_conversation(id)
        self.body(Nothing)
        move(conversation, by=self.author, now=self.now)
        return self.answer(conversation)


FILTERS = {
    "status": "status",
    "inbox": "inbox__key",
    "team": "team__slug",
    "assignee": "assignee__username",
    "updated_after": "updated_at__gt",
}


def _filtered(rows: QuerySet[Conversation], wanted: dict[str, Any]) -> QuerySet[Conversation]:
    rows = rows.filter(**{FILTERS[name]: wanted[name] for name in FILTERS if name in wanted})
    if "label" in wanted:
        # By its key: how many rows have it is known before they are looked for.
        label = Label.objects.filter(name=wanted["label"]).first()
        tagged = Conversation.labels.through.objects.filter(
            conversation=OuterRef("pk"), label=label
        )
        rows = rows.filter(Exists(tagged)) if label else rows.none()
    if "contact" in wanted:
        public_id = parse_public_id(wanted["contact"])
        rows = rows.filter(contact__public_id=public_id) if public_id else rows.none()
    if "q" in wanted:
        rows = rows.filter(search.conversations_in_which(wanted["q"]))
    return rows


def _identity(conversation: Conversation, public_id: str | None) -> ContactIdentity | None:
    """The address to reply to, which must be one of this contact's."""
    if public_id is None:
        return None
    theirs = ContactIdentity.objects.filter(contact=conversation.contact_id)
    return lookups.referred(theirs, "identity", public_id)


def _replied(conversation: Conversation, public_id: str | None) -> Message | None:
    if public_id is None:
        return None
    said = Message.objects.filter(conversation=conversation)
    return lookups.referred(said, "reply_to", public_id)
