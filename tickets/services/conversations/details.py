"""What is known of a conversation beside its log: labels, priority, team, fields, rating."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from tickets import bus
from tickets.events import ConversationChanged
from tickets.models import Conversation, Label, Rating, Team
from tickets.services import threads
from tickets.text import clean


@transaction.atomic
def set_labels(conversation: Conversation, labels: Sequence[Label], *, now: datetime) -> None:
    conversation.labels.set(labels)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=now)
    bus.publish(ConversationChanged(conversation.pk))


def set_priority(conversation: Conversation, priority: int, *, now: datetime) -> None:
    _set(conversation, priority=Conversation.Priority(priority), updated_at=now)


def set_team(conversation: Conversation, team: Team, *, now: datetime) -> None:
    """Whose it will be when it is handed off; in a line already, it stands in the team's."""
    _set(conversation, team=team, updated_at=now)


def set_custom(conversation: Conversation, custom: dict[str, Any], *, now: datetime) -> None:
    _set(conversation, custom=custom, updated_at=now)


@transaction.atomic
def _set(conversation: Conversation, **values: Any) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(**values)
    bus.publish(ConversationChanged(conversation.pk))


@transaction.atomic
def rate(
    conversation: Conversation,
    *,
    score: int,
    now: datetime,
    solved: bool | None = None,
    tags: Sequence[str] = (),
    comment: str = "",
) -> Rating:
    """Store the contact's rating of the conversation, or change it."""
    conversation = threads.lock(conversation)
    values = {
        "score": score,
        "solved": solved,
        "tags": [clean(tag) for tag in tags],
        "comment": clean(comment),
        "agent": conversation.assignee,
        "updated_at": now,
    }
    rating, _created = Rating.objects.update_or_create(
        conversation=conversation,
        defaults=values,
        create_defaults={**values, "created_at": now},
    )
    bus.publish(ConversationChanged(conversation.pk))
    return rating
