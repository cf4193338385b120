"""What a machine wrote goes to people, and no endpoint is asked."""

import pytest
from django.utils import timezone

from ai_gateway import sweeping, tasks
from ai_gateway.models import AnswerRule, Endpoint
from tests import factories
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Conversation, Inbox


def status_of(message_id: int) -> tuple[str, list[str]]:
    conversation = Conversation.objects.get(messages=message_id)
    return conversation.status, sorted(conversation.messages.values_list("kind", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_machine_is_not_answered_by_the_bot(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("您好"))
    asked = factories.say(factories.identity(web_inbox), now=timezone.now(), automatic=True)

    tasks.answer_messages([asked.message_id])

    assert status_of(asked.message_id) == ("queued", ["activity", "incoming"])
    assert server.requests == []


@pytest.mark.django_db
def test_nor_by_the_sweeper(web_inbox: Inbox) -> None:
    long_ago = timezone.now() - sweeping.after() * 2
    AnswerRule.objects.create(name="先答", keywords=["你好"], answer="您好", first=True)
    asked = factories.say(factories.identity(web_inbox), now=long_ago, automatic=True)

    assert sweeping.answer_left_behind(timezone.now()) == 1

    assert status_of(asked.message_id) == ("queued", ["activity", "incoming"])
