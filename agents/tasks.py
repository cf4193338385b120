"""What the queue workers do for the agents."""

import logging

from celery import Task, shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from agents import assignment, presence
from tickets.models import Conversation

log = logging.getLogger(__name__)


@shared_task
def assign_waiting() -> int:
    """Give out all that waits; the clock asks for it every few seconds."""
    try:
        presence.forget_gone()
        return assignment.assign_waiting(now=timezone.now())
    except presence.AWAY as error:
        log.warning("nothing is given out, presence is not known: %s", type(error).__name__)
        return 0


@shared_task
def assign_queued(conversation_id: int) -> int:
    """Give out the line in which a conversation has just been put."""
    conversation = Conversation.objects.queued().filter(pk=conversation_id).first()
    if conversation is None:
        return 0
    try:
        there = presence.connected()
    except presence.AWAY:
        return 0  # assign_waiting says so, every few seconds
    return assignment.assign_team(conversation.team_id, there=there, now=timezone.now())


def soon(task: Task, *arguments: int) -> None:
    """Queue a task that only hurries: without a broker, the clock's run finds the work."""
    try:
        task.delay(*arguments)
    except BrokerAway as error:
        log.warning("%s was not queued: %s", task.name, type(error).__name__)
