"""What lists and headers show of conversations: all of it in one query, however many rows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject, Left
from django.utils.translation import gettext as _

from agents import buckets, push
from agents.models import Agent
from tickets.models import Attachment, Conversation, Label, Message
from tickets.payloads import conversation_payload, dumps
from tickets.policy import Principal

PREVIEW_LENGTH = 120
_SAID = (Message.Kind.INCOMING, Message.Kind.OUTGOING, Message.Kind.NOTE)


def last_line(conversation: str) -> Subquery:
    """The last thing said in the outer row's conversation, as {kind, author, text, file}."""
    files = Attachment.objects.filter(message=OuterRef("pk")).order_by("position", "pk")
    said = Message.objects.filter(conversation=OuterRef(conversation), kind__in=_SAID)
    line = JSONObject(
        kind="kind",
        author="author_kind",
        text=Left("text", PREVIEW_LENGTH),
        file=Subquery(files.values("content_type")[:1]),
    )
    return Subquery(said.order_by("-seq").values(line=line)[:1])


def with_row(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With all that `row_payload` reads."""
    labels = Label.objects.filter(conversations=OuterRef("pk")).order_by("name").values("name")
    return conversations.select_related("contact", "inbox", "team", "assignee").annotate(
        label_names=ArraySubquery(labels), last_line=last_line("pk")
    )


def row_payload(conversation: Any, principal: Principal) -> push.RowPayload:
    """A conversation of `with_row`, for one who may see it."""
    names = buckets.buckets_of(conversation, principal)
    return cast(push.RowPayload, {**_shared_payload(conversation), "buckets": names})


def _shared_payload(conversation: Any) -> dict[str, Any]:
    """What is the same for all who see it."""
    # What a prefetch would have put there: the names came with the row.
    conversation._prefetched_objects_cache = {
        "labels": [Label(name=name) for name in conversation.label_names]
    }
    return {**conversation_payload(conversation), "preview": preview(conversation.last_line)}


def preview(line: dict[str, Any] | None) -> push.Preview:
    """Who said the last line, and its words; a file without words is named."""
    if line is None:
        return {"direction": "contact", "text": ""}
    text = " ".join(line["text"].split())
    if not text and line["file"]:
        text = _("[图片]") if line["file"].startswith("image/") else _("[文件]")
    if line["kind"] == Message.Kind.NOTE:
        return {"direction": "note", "text": text}
    if line["kind"] == Message.Kind.INCOMING:
        return {"direction": "contact", "text": text}
    is_bot = line["author"] == Message.AuthorKind.BOT
    return {"direction": "bot" if is_bot else "agent", "text": text}


@dataclass(frozen=True)
class Seen:
    """A row as it was read, for whoever may see it."""

    conversation: Conversation
    json: str  # its object, written out once; only `buckets` is missing

    def is_for(self, principal: Principal) -> bool:
        place = (self.conversation.team_id, self.conversation.assignee_id)
        return push.may_see(principal, place)

    def frame_for(self, principal: Principal) -> str:
        """`push.ConversationFrame` for one who may see it, `push.RemovedFrame` for others."""
        if not self.is_for(principal):
            return f'{{"type":"removed","conversation":"{self.conversation.public_id}"}}'
        names = json.dumps(buckets.buckets_of(self.conversation, principal))
        return f'{{"type":"conversation","conversation":{self.json[:-1]},"buckets":{names}}}}}'


def rows(conversation_ids: Iterable[int]) -> dict[int, Seen]:
    """These rows by number, the one that changed last at the end."""
    found = Conversation.objects.filter(pk__in=set(conversation_ids))
    return {
        conversation.pk: Seen(conversation, dumps(_shared_payload(conversation)))
        for conversation in with_row(found).order_by("updated_at", "pk")
    }


def counts(principal: Principal) -> dict[str, int]:
    """How many conversations are in each bucket, by one query."""
    own = Agent.objects.filter(user__pk=principal.user_id or 0)
    numbers = own.values_list(buckets.count_expression(principal), flat=True).get()
    return {bucket: numbers[bucket] for bucket in buckets.BUCKETS}
