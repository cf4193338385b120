"""👍 and 👎: who may give them, where they are kept, and that vendors hear of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from ai_gateway import tasks
from ai_gateway.errors import EndpointError
from ai_gateway.models import Attempt, Endpoint
from tests import factories
from tests.ai_gateway.test_answering import ask
from tests.ai_gateway.test_copilot import fake, fake_backend  # noqa: F401
from tests.ai_gateway.test_copilot_api import ask as suggest
from tests.ai_gateway.test_copilot_api import caller, nobody_was_counted  # noqa: F401
from tests.ai_gateway.test_shadow import spoken, unhurried  # noqa: F401
from tests.api.conftest import Caller
from tests.fakes.dify_server import KEY, FakeDify
from tickets import bus
from tickets.events import MessageChanged
from tickets.models import Conversation, Inbox, Message
from tickets.payloads import messages_for_payload, visitor_messages

pytestmark = pytest.mark.django_db
NOBODY = "0192d3a4-0000-7000-8000-000000000000"


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What would go to a worker."""
    found: list[int] = []
    monkeypatch.setattr(tasks.tell_feedback, "delay", found.append)
    return found


@pytest.fixture
def told_changed() -> Iterator[list[int]]:
    """The messages that consoles are told to read anew."""
    found: list[int] = []
    wired: dict[type, Any] = dict(bus._subscribers)
    bus.connect({**wired, MessageChanged: [lambda event: found.append(event.message_id)]})
    yield found
    bus.connect(wired)


@pytest.fixture
def api(caller: Any, queued: list[int]) -> Caller:  # noqa: F811
    made: Caller = caller("read", "write")
    return made


@pytest.fixture
def dify(settings: Any) -> Iterator[FakeDify]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeDify() as server:
        Endpoint.objects.create(
            slug="main", backend="dify", base_url=server.base_url, api_key=KEY, default=True
        )
        yield server


def path(conversation: Conversation, message: Any) -> str:
    number = getattr(message, "public_id", message)
    return f"conversations/{conversation.public_id}/messages/{number}/feedback/"


def give(api: Caller, reply: Message, good: Any) -> Any:
    return api.post(path(reply.conversation, reply), {"good": good})


def test_it_is_kept_told_changed_and_taken_back(
    web_inbox: Inbox, dify: FakeDify, api: Caller, queued: list[int]
) -> None:
    _, reply = spoken(web_inbox)
    attempt = Attempt.objects.get()

    for good in (True, False, None):
        answer = give(api, reply, good)
        assert (answer.status_code, answer.json()) == (200, {"good": good, "endpoint": "main"})
        attempt.refresh_from_db()
        assert attempt.good is good
        tasks.tell_feedback(queued[-1])

    assert attempt.vendor_message_id
    assert dify.feedbacks == [
        (attempt.vendor_message_id, rating) for rating in ("like", "dislike", None)
    ]


def test_each_answer_is_told_by_its_own_name(
    web_inbox: Inbox, dify: FakeDify, api: Caller, queued: list[int]
) -> None:
    conversation, first = spoken(web_inbox)
    later = factories.say(conversation.identity, "那退款呢", now=first.created_at)
    tasks.answer_messages([later.message_id])

    give(api, first, True)
    tasks.tell_feedback(queued[-1])

    earlier, newer = Attempt.objects.order_by("pk")
    assert (earlier.good, newer.good) == (True, None)
    assert dify.feedbacks == [(earlier.vendor_message_id, "like")]
    assert earlier.vendor_message_id != newer.vendor_message_id


def test_a_vendor_that_takes_none_is_not_told(
    web_inbox: Inbox, api: Caller, queued: list[int]
) -> None:
    fake()
    _, reply = spoken(web_inbox)

    assert give(api, reply, True).status_code == 200
    tasks.tell_feedback(queued[-1])
    Endpoint.objects.all().delete()
    tasks.tell_feedback(queued[-1])
    tasks.tell_feedback(999_999)

    assert Attempt.objects.get().good is True


def test_a_vendor_that_is_away_is_told_later(
    web_inbox: Inbox, dify: FakeDify, api: Caller, queued: list[int]
) -> None:
    _, reply = spoken(web_inbox)
    give(api, reply, False)
    dify.key = "app-another"

    with pytest.raises(EndpointError):
        tasks.tell_feedback(queued[-1])

    dify.key = KEY
    tasks.tell_feedback(queued[-1])
    assert [rating for _id, rating in dify.feedbacks] == ["dislike"]
    assert EndpointError in tasks.tell_feedback.autoretry_for


def test_what_is_no_answer_of_an_endpoint_is_409(
    web_inbox: Inbox, api: Caller, queued: list[int]
) -> None:
    conversation, message = ask(web_inbox)
    tasks.answer_messages([message.pk])
    by_rules = conversation.messages.filter(kind="outgoing").first()

    for other in (message, by_rules):
        refused = give(api, other, True)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "not_an_answer")
    assert queued == []


@pytest.mark.parametrize("body", [{}, {"good": "yes"}, {"good": 1}, {"good": True, "x": 1}, [1]])
def test_a_body_that_says_nothing_is_400(web_inbox: Inbox, api: Caller, body: Any) -> None:
    fake()
    conversation, reply = spoken(web_inbox)

    assert api.post(path(conversation, reply), body).status_code == 400
    assert Attempt.objects.get().good is None


def test_agents_see_what_they_think_and_visitors_do_not(
    web_inbox: Inbox, api: Caller, queued: list[int], told_changed: list[int], committed: Any
) -> None:
    fake()
    conversation, reply = spoken(web_inbox)
    log = f"conversations/{conversation.public_id}/messages/"
    before = api.get(log).json()["results"]

    for good in (True, None, False):
        with committed():
            give(api, reply, good)
        assert api.get(log).json()["results"][-1]["good"] is good

    assert ["good" in message for message in before] == [False, True]
    assert before[-1]["good"] is None
    assert told_changed == [reply.pk] * 3
    shown, _skipped = visitor_messages(messages_for_payload(conversation.messages.order_by("seq")))
    assert not any("good" in message for message in shown)


def test_a_rules_answer_is_nothing_to_judge(web_inbox: Inbox, api: Caller) -> None:
    conversation, message = ask(web_inbox)
    tasks.answer_messages([message.pk])

    log = api.get(f"conversations/{conversation.public_id}/messages/").json()["results"]

    assert not any("good" in one for one in log)


# Suggestions ----------------------------------------------------------------------------------


def suggestion_path(conversation: Conversation, suggestion: str) -> str:
    return f"conversations/{conversation.public_id}/copilot/{suggestion}/feedback/"


def test_a_suggestion_is_judged_by_its_name(
    conversation: Conversation, dify: FakeDify, api: Caller, queued: list[int]
) -> None:
    made = suggest(api, conversation).json()

    for good in (True, None):
        answer = api.post(suggestion_path(conversation, made["id"]), {"good": good})
        assert (answer.status_code, answer.json()) == (200, {"good": good, "endpoint": "main"})
        tasks.tell_feedback(queued[-1])

    attempt = Attempt.objects.get()
    assert (attempt.good, attempt.message) == (None, None)
    assert [rating for _id, rating in dify.feedbacks] == ["like", None]


def test_who_may_judge_a_suggestion(
    conversation: Conversation,
    agent: User,
    caller: Any,  # noqa: F811
    api: Caller,
    queued: list[int],
) -> None:
    fake()
    where = suggestion_path(conversation, suggest(api, conversation).json()["id"])
    elsewhere = factories.conversation(factories.identity(conversation.inbox))
    stranger = factories.user(teams=[factories.team("other")])
    good = {"good": True}

    assert Caller(None).post(where, good).status_code == 401
    assert caller("read").post(where, good).status_code == 403
    assert caller("read", "write", agent=stranger).post(where, good).status_code == 404
    mine = caller("read", "write", agent=agent)
    assert mine.post(where, {"good": 1}).status_code == 400
    for other in (NOBODY, "x"):
        assert mine.post(suggestion_path(conversation, other), good).status_code == 404
    other_place = where.replace(str(conversation.public_id), str(elsewhere.public_id))
    assert mine.post(other_place, good).status_code == 404
    assert queued == []
    assert mine.post(where, good).status_code == 200


def test_who_may(web_inbox: Inbox, agent: User, caller: Any, queued: list[int]) -> None:  # noqa: F811
    fake()
    conversation, reply = spoken(web_inbox)
    stranger = factories.user(teams=[factories.team("other")])
    elsewhere = factories.conversation(factories.identity(web_inbox))

    assert give(Caller(None), reply, True).status_code == 401
    assert give(caller("read"), reply, True).status_code == 403
    assert give(caller("read", "write", agent=stranger), reply, True).status_code == 404
    mine = caller("read", "write", agent=agent)
    assert mine.post(path(elsewhere, reply), {"good": True}).status_code == 404
    assert mine.post(path(conversation, NOBODY), {"good": True}).status_code == 404
    assert queued == []
    assert give(mine, reply, True).status_code == 200
    assert queued == [Attempt.objects.get().pk]
