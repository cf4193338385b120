"""The line for an agent: everybody has a place of their own, also who comes at the same moment."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection

from tests import factories
from tests.factories import NOON
from tickets.envelopes import InboundMessage
from tickets.events import HandoffReason
from tickets.models import Conversation, Message
from tickets.services import conversations

TOGETHER = 6
FIRST = "排在第一位"


def place_told(conversation_id: int) -> int:
    line = Message.objects.get(conversation=conversation_id, meta__activity="queued")
    if FIRST in line.text:
        return 0
    found = re.search(r"前面还有 (\d+) 人", line.text)
    assert found, line.text
    return int(found[1])


def all_at_once(work, arguments) -> None:
    """Each in a thread with a connection and a transaction of its own, begun together."""
    barrier = Barrier(len(arguments))

    def run(argument) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            work(argument)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(arguments)) as pool:
        list(pool.map(run, arguments))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step_ms", [0, -1], ids=["one moment", "who wrote last is first"])
def test_hand_offs_at_the_same_time_are_told_different_places(web_inbox, step_ms):
    waiting = [
        factories.conversation(factories.identity(web_inbox), text="转人工")
        for _ in range(TOGETHER)
    ]
    for number, conversation in enumerate(waiting):
        since = NOON + number * timedelta(milliseconds=step_ms)
        Conversation.objects.filter(pk=conversation.pk).update(waiting_since=since)

    all_at_once(
        lambda conversation: conversations.hand_off(
            conversation, reason=HandoffReason.ASKED, now=NOON
        ),
        waiting,
    )

    queued = list(Conversation.objects.queued())
    assert [place_told(conversation.pk) for conversation in queued] == list(range(TOGETHER))
    assert [conversations.place_in_queue(c) for c in queued] == list(range(TOGETHER))


@pytest.mark.django_db(transaction=True)
def test_conversations_that_begin_in_the_line_have_places_of_their_own_too(web_inbox):
    web_inbox.settings, web_inbox.team = {"auto_reply": False}, None
    web_inbox.save()
    people = [factories.identity(web_inbox) for _ in range(TOGETHER)]
    batches = [people[:2], people[2:4], people[4:]]

    def begin(batch) -> None:
        letters = [
            InboundMessage(inbox_id=web_inbox.pk, identity_id=person.pk, text="在吗", client_id="1")
            for person in batch
        ]
        conversations.receive(letters, now=NOON)

    all_at_once(begin, batches)

    queued = list(Conversation.objects.queued())
    assert [place_told(conversation.pk) for conversation in queued] == list(range(TOGETHER))
    assert [conversations.place_in_queue(c) for c in queued] == list(range(TOGETHER))


@pytest.mark.django_db
def test_who_waited_longer_elsewhere_goes_before_those_who_came_here_first(web_inbox):
    early, late = (
        factories.conversation(factories.identity(web_inbox), text="转人工") for _ in range(2)
    )
    Conversation.objects.filter(pk=early.pk).update(waiting_since=NOON - timedelta(minutes=9))
    Conversation.objects.filter(pk=late.pk).update(waiting_since=NOON)

    conversations.hand_off(late, reason=HandoffReason.ASKED, now=NOON)
    conversations.hand_off(early, reason=HandoffReason.ASKED, now=NOON)

    assert list(Conversation.objects.queued()) == [early, late]
    assert Conversation.objects.get(pk=early.pk).waiting_since == NOON - timedelta(minutes=9)
