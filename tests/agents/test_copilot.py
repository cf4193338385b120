"""The copilot over the console's socket: the frame, the bus, the bot's wing, and back."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from ai_gateway import copilot_socket, loop, tasks
from ai_gateway.models import Attempt, Endpoint
from kefu.celery import app
from tests import factories
from tests.agents.conftest import Console, OpenConsole
from tickets.api import limits
from tickets.events import CopilotAsked
from tickets.models import Conversation, Message, Team

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
SAID = "您好，滤芯六个月换一次。"


@pytest.fixture(autouse=True)
def fake_backend(settings: Any) -> Iterator[None]:
    settings.AI_BACKENDS = {**settings.AI_BACKENDS, "fake": "ai_gateway.testing.FakeBackend"}
    limits._redis().flushdb()
    yield
    loop.drain(5)


@pytest.fixture(autouse=True)
def ai_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue `ai` and its worker are this process: tasks run on the loop of a worker."""

    def begin(args: list[dict[str, Any]], expires: float) -> None:
        asked = CopilotAsked(**args[0])
        loop.start(copilot_socket.answer(asked), "a test")

    monkeypatch.setattr(tasks.suggest_to_agent, "apply_async", begin)


@pytest.fixture
def endpoint(transactional_db: None) -> Endpoint:
    options = {"say": SAID, "between_s": 0.05}
    return Endpoint.objects.create(slug="main", backend="fake", options=options, default=True)


async def ask(
    desk: Console, conversation: Conversation, deed: str = "suggest", **values: Any
) -> None:
    named = {"conversation": str(conversation.public_id), "client_id": "c1"}
    await desk.say("copilot", deed=deed, **named, **values)


async def test_a_suggestion_grows_and_ends_at_the_console_that_asked_only(
    console: OpenConsole, agent: User, team: Team, conversation: Conversation, endpoint: Endpoint
) -> None:
    colleague = await sync_to_async(factories.user)("lilei", teams=[team])
    desk, other = await console(agent), await console(colleague)
    for one in (desk, other):
        await one.ask("messages", "subscribe", conversation=str(conversation.public_id))
    await other.rest()

    await ask(desk, conversation)
    end = await desk.until("copilot_end")

    named = {"conversation": str(conversation.public_id), "client_id": "c1"}
    deltas = [frame for frame in desk.heard if frame["type"] == "copilot_delta"]
    assert len(deltas) > 1
    assert [frame["text"] for frame in deltas] == sorted((f["text"] for f in deltas), key=len)
    assert {key: deltas[0][key] for key in named} == named
    assert end.pop("latency_ms") > 0
    assert end.pop("id")
    assert end == {
        "type": "copilot_end", **named,
        "text": SAID, "endpoint": "main", "citations": [], "problem": None, "fields": [],
    }  # fmt: skip
    assert not [frame for frame in await other.rest() if frame["type"].startswith("copilot")]
    assert await Message.objects.filter(kind="outgoing").acount() == 0
    assert await Attempt.objects.filter(conversation=conversation).acount() == 1


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"deed": "sing"}, "deed"),
        ({"deed": "polish"}, "draft"),
        ({"deed": "translate", "draft": "你好"}, "language"),
        ({"deed": "translate", "draft": "你好", "language": "忽略"}, "language"),
    ],
)
async def test_a_wish_that_cannot_be_is_told_with_its_field(
    console: OpenConsole, agent: User, conversation: Conversation, wish: dict[str, Any], why: str
) -> None:
    desk = await console(agent)

    await ask(desk, conversation, **wish)
    end = await desk.until("copilot_end")

    assert (end["text"], end["problem"]["code"], end["problem"]["why"]) == ("", "invalid", why)


async def test_no_endpoint_and_too_many_wishes_come_to_an_end_that_says_so(
    console: OpenConsole, agent: User, conversation: Conversation, settings: Any
) -> None:
    settings.COPILOT_PER_MINUTE = 1
    desk = await console(agent)
    problems = []

    for _ in range(4):  # a minute may end once between them
        await ask(desk, conversation)
        problems.append((await desk.until("copilot_end"))["problem"])

    codes = [(problem["code"], problem["why"]) for problem in problems]
    assert codes[0] == ("unavailable", "no_endpoint")
    assert ("rate_limited", "throttled") in codes


async def test_another_teams_conversation_is_not_there_and_auditors_do_not_ask(
    console: OpenConsole, agent: User, conversation: Conversation, endpoint: Endpoint
) -> None:
    stranger = await sync_to_async(factories.user)(teams=[await sync_to_async(factories.team)()])
    auditor = await sync_to_async(factories.user)(role="auditor")
    theirs, looking_on = await console(stranger), await console(auditor)

    await ask(theirs, conversation)
    await ask(looking_on, conversation)
    errors = [await desk.until("error") for desk in (theirs, looking_on)]

    assert [error["code"] for error in errors] == ["not_found", "invalid"]
    assert {error["client_id"] for error in errors} == {"c1"}
    assert not await Attempt.objects.aexists()


async def test_whoever_lost_the_conversation_meanwhile_is_told_no_more(
    console: OpenConsole, agent: User, conversation: Conversation, endpoint: Endpoint
) -> None:
    desk = await console(agent)
    other = await sync_to_async(factories.team)()

    await ask(desk, conversation)
    await desk.until("copilot_delta")
    await Conversation.objects.filter(pk=conversation.pk).aupdate(team=other)
    await asyncio.sleep(len(SAID) * 0.05 + 1)

    frames = [frame["type"] for frame in await desk.rest()]
    assert "copilot_end" not in frames


async def test_a_broker_that_is_away_is_an_end_too(
    console: OpenConsole,
    agent: User,
    conversation: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kombu.exceptions import OperationalError

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(tasks.suggest_to_agent, "apply_async", away)
    desk = await console(agent)

    await ask(desk, conversation)

    assert (await desk.until("copilot_end"))["problem"]["why"] == "failed"


async def test_the_task_itself_answers_where_it_is_called(
    console: OpenConsole, agent: User, conversation: Conversation, endpoint: Endpoint
) -> None:
    desk = await console(agent)
    asked = {
        "conversation_id": conversation.pk, "user_id": agent.pk,
        "client_id": "c2", "deed": "suggest",
    }  # fmt: skip

    await sync_to_async(tasks.suggest_to_agent)(asked)

    assert (await desk.until("copilot_end", client_id="c2"))["text"] == SAID
    assert app.conf.task_routes["ai_gateway.tasks.suggest_to_agent"] == {"queue": "ai"}


async def judge(
    desk: Console, conversation: Conversation, suggestion: str, good: object
) -> dict[str, Any]:
    named = {"conversation": str(conversation.public_id), "client_id": "j1"}
    await desk.say("copilot_feedback", id=suggestion, good=good, **named)
    return await desk.until("copilot_judged")


async def test_a_suggestion_is_judged_and_the_vendor_told(
    console: OpenConsole,
    agent: User,
    conversation: Conversation,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.tell_feedback, "delay", queued.append)
    desk = await console(agent)
    await ask(desk, conversation)
    made = (await desk.until("copilot_end"))["id"]

    good = await judge(desk, conversation, made, True)
    back = await judge(desk, conversation, made, None)
    unknown = await judge(desk, conversation, str(conversation.public_id), True)

    assert (good["id"], good["good"], good["problem"]) == (made, True, None)
    assert back["good"] is None
    assert unknown["problem"]["code"] == "not_found"
    attempt = await Attempt.objects.aget()
    assert attempt.good is None
    assert queued == [attempt.pk] * 2


async def test_who_may_not_ask_may_not_judge(
    console: OpenConsole, conversation: Conversation
) -> None:
    stranger = await sync_to_async(factories.user)(teams=[await sync_to_async(factories.team)()])
    auditor = await sync_to_async(factories.user)(role="auditor")
    codes = []

    for person in (stranger, auditor):
        desk = await console(person)
        named = {"conversation": str(conversation.public_id), "client_id": "j1"}
        await desk.say("copilot_feedback", id=named["conversation"], good=True, **named)
        codes.append((await desk.until("error"))["code"])

    assert codes == ["not_found", "invalid"]
