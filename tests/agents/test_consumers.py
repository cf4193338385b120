"""The console's socket as contract §5 promises it."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone

from tests import factories
from tests.agents.conftest import Console, OpenConsole, say
from tickets import bus
from tickets.envelopes import SYSTEM, Author
from tickets.events import HandoffReason, MessageChanged, ReadMoved, ReplyGrowing, TypingStarted
from tickets.models import Conversation, Inbox, Message, Team
from tickets.services import conversations

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@sync_to_async
def log_of(conversation: Conversation) -> list[tuple[int, str, str]]:
    return list(
        Message.objects.filter(conversation=conversation)
        .order_by("seq")
        .values_list("seq", "kind", "text")
    )


def service(name: str, conversation: Conversation, **values: Any) -> Any:
    return sync_to_async(getattr(conversations, name))(conversation, now=timezone.now(), **values)


def new_id() -> str:
    return str(uuid.uuid4())


async def watching(console: OpenConsole, user: User, conversation: Conversation) -> Console:
    desk = await console(user)
    await desk.ask("messages", "subscribe", conversation=str(conversation.public_id))
    await desk.rest()
    return desk


# Opening


async def test_a_console_is_told_who_it_is_and_what_there_is(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    assert desk.ready["agent"] == {
        "username": "wangfang",
        "name": "wangfang",
        "status": "online",
        "teams": ["aftersale"],
    }
    assert desk.ready["cursor"].endswith("Z")


async def test_all_that_one_sees_is_pushed_at_once(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    frames: list[dict[str, Any]] = []
    desk = await console(agent)
    desk2 = await console(agent)
    frames = desk2.opening

    rows = [f["conversation"]["id"] for f in frames if f["type"] == "conversation"]
    assert rows == [str(conversation.public_id)]
    assert frames[-1]["counts"] == {"mine": 0, "unassigned": 0, "team": 1, "all": 1}
    assert desk.ready["agent"] == desk2.ready["agent"]


async def test_a_ping_is_answered(console: OpenConsole, agent: User) -> None:
    desk = await console(agent)

    assert await desk.ask("pong", "ping") == {"type": "pong"}


# The log


async def test_a_watching_console_gets_a_visitors_message_and_its_row(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await watching(console, agent, conversation)

    await say(conversation, "在吗")

    frames = await desk.rest()
    [message] = [f for f in frames if f["type"] == "message"]
    rows = [f["conversation"] for f in frames if f["type"] == "conversation"]
    assert message["conversation"] == str(conversation.public_id)
    assert (message["message"]["seq"], message["message"]["text"]) == (2, "在吗")
    assert rows[-1]["preview"] == {"direction": "contact", "text": "在吗"}
    assert (rows[-1]["unread"], rows[-1]["buckets"]) == (2, ["team", "all"])


async def test_who_does_not_watch_gets_the_row_and_no_message(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await say(conversation, "在吗")

    assert {frame["type"] for frame in await desk.rest()} == {"conversation"}


async def test_who_comes_back_gets_what_they_missed_and_nothing_twice(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    for number in range(2, 6):
        await say(conversation, f"第 {number} 条")
    desk = await console(agent)

    answer = await desk.ask(
        "messages", "subscribe", conversation=str(conversation.public_id), after=3
    )

    assert [m["seq"] for m in answer["messages"]] == [4, 5]
    assert answer["more"] is False
    assert [f for f in await desk.rest() if f["type"] == "message"] == []


async def test_a_long_log_comes_in_pages(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    for number in range(2, 106):
        await say(conversation, str(number))
    desk = await console(agent)
    public_id = str(conversation.public_id)

    first = await desk.ask("messages", "subscribe", conversation=public_id, after=0)
    second = await desk.ask("messages", "subscribe", conversation=public_id, after=100)

    assert ([m["seq"] for m in first["messages"]], first["more"]) == (list(range(1, 101)), True)
    assert ([m["seq"] for m in second["messages"]], second["more"]) == (
        [101, 102, 103, 104, 105],
        False,
    )


async def test_messages_end_with_the_subscription(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await watching(console, agent, conversation)

    await desk.say("unsubscribe", conversation=str(conversation.public_id))
    await desk.ask("pong", "ping")
    await say(conversation, "在吗")

    assert "message" not in {frame["type"] for frame in await desk.rest()}


async def test_a_burst_arrives_whole_and_in_order(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await watching(console, agent, conversation)

    await asyncio.gather(*(say(conversation, f"{number}") for number in range(30)))

    seqs = [f["message"]["seq"] for f in await desk.rest() if f["type"] == "message"]
    assert seqs == list(range(2, 32))


async def test_a_push_that_was_lost_is_made_up_by_the_next_check(
    console: OpenConsole, agent: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.presence.BEAT_S", 0.1)
    desk = await watching(console, agent, conversation)

    @sync_to_async
    def unheard() -> None:
        flow = dict(bus._subscribers)
        bus.connect({})
        factories.say(conversation.identity, "没人听见", now=timezone.now())
        bus.connect(flow)

    await unheard()

    assert (await desk.until("message"))["message"]["text"] == "没人听见"
    assert (await desk.until("conversation"))["conversation"]["last_seq"] == 2


async def test_a_message_whose_status_changed_is_sent_again(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await watching(console, agent, conversation)

    @sync_to_async
    def fail() -> None:
        message = Message.objects.get(conversation=conversation, seq=1)
        Message.objects.filter(pk=message.pk).update(status="failed", provider_code="45015")
        bus.publish(MessageChanged(message.pk, conversation.pk))

    await fail()

    message = (await desk.until("message"))["message"]
    assert (message["seq"], message["status"], message["error"]["code"]) == (1, "failed", "45015")


# Writing


async def test_a_reply_takes_the_conversation_over_and_is_acknowledged_before_it_is_shown(
    console: OpenConsole, agent: User, team: Team, conversation: Conversation
) -> None:
    colleague = await sync_to_async(factories.user)("lilei", teams=[team])
    desk = await watching(console, agent, conversation)
    other = await watching(console, colleague, conversation)
    client_id = new_id()

    await desk.say(
        "message", conversation=str(conversation.public_id), client_id=client_id, text="您好"
    )
    ack = await desk.until("ack")

    assert (ack["client_id"], ack["conversation"], ack["seq"], ack["skipped"]) == (
        client_id,
        str(conversation.public_id),
        3,
        [],
    )
    before = [f["message"]["seq"] for f in desk.heard if f["type"] == "message"]
    after = [f["message"]["seq"] for f in await desk.rest() if f["type"] == "message"]
    seen = [f["message"]["seq"] for f in await other.rest() if f["type"] == "message"]
    assert (before, after, seen) == ([2], [3], [2, 3])
    assert [kind for _seq, kind, _text in await log_of(conversation)] == [
        "incoming",
        "activity",
        "outgoing",
    ]


async def test_the_same_client_id_is_the_same_message(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)
    reply = {"conversation": str(conversation.public_id), "client_id": new_id(), "text": "您好"}

    first = await desk.ask("ack", "message", **reply)
    second = await desk.ask("ack", "message", **reply | {"text": "另一句"})

    assert first == second
    assert [text for _seq, kind, text in await log_of(conversation) if kind == "outgoing"] == [
        "您好"
    ]


async def test_a_note_changes_no_owner(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await desk.ask(
        "ack",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        text="老客户",
        note=True,
    )

    assert await log_of(conversation) == [(1, "incoming", "你好"), (2, "note", "老客户")]
    await sync_to_async(conversation.refresh_from_db)()
    assert conversation.status == "bot"


async def test_a_reply_to_what_has_moved_on_is_not_sent(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)
    await say(conversation, "还在吗")
    client_id = new_id()

    error = await desk.ask(
        "error",
        "message",
        conversation=str(conversation.public_id),
        client_id=client_id,
        text="您好",
        if_last_seq=1,
    )

    assert (error["code"], error["client_id"], error["last_seq"]) == ("moved_on", client_id, 2)
    assert [m["text"] for m in error["messages"]] == ["还在吗"]
    assert len(await log_of(conversation)) == 2


async def test_a_reply_to_a_resolved_conversation_is_an_illegal_status(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)
    await service("resolve", conversation, by=Author.agent(agent.pk))

    error = await desk.ask(
        "error",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        text="您好",
    )

    assert error["code"] == "illegal_status"


async def test_a_text_over_the_inboxs_limit_is_too_large(
    console: OpenConsole, agent: User, web_inbox: Inbox, conversation: Conversation
) -> None:
    desk = await console(agent)

    error = await desk.ask(
        "error",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        text="长" * 4001,
    )

    assert error["code"] == "too_large"


async def test_the_address_of_another_contact_is_refused(
    console: OpenConsole, agent: User, web_inbox: Inbox, conversation: Conversation
) -> None:
    stranger = await sync_to_async(factories.identity)(web_inbox)
    desk = await console(agent)

    error = await desk.ask(
        "error",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        text="您好",
        identity=str(stranger.public_id),
    )

    assert error["code"] == "invalid"
    assert len(await log_of(conversation)) == 1


async def test_an_upload_of_somebody_else_is_refused(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    error = await desk.ask(
        "error",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        attachments=[new_id()],
    )

    assert error["code"] == "invalid"
    assert len(await log_of(conversation)) == 1


async def test_odd_characters_arrive_as_they_may_be_stored(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await desk.ask(
        "ack",
        "message",
        conversation=str(conversation.public_id),
        client_id=new_id(),
        text="a\x00b \ud800 👩‍👩‍👧 𠮷",
    )

    assert (await log_of(conversation))[-1][2] == "ab \ufffd 👩‍👩‍👧 𠮷"


# Deeds


async def test_taking_over_makes_it_ones_own(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await desk.say("take_over", conversation=str(conversation.public_id))

    frames = await desk.rest()
    row = [f["conversation"] for f in frames if f["type"] == "conversation"][-1]
    assert (row["status"], row["assignee"]) == ("open", "wangfang")
    assert row["buckets"] == ["mine", "team", "all"]
    counts = [f["counts"] for f in frames if f["type"] == "counts"][-1]
    assert counts == {"mine": 1, "unassigned": 0, "team": 1, "all": 1}


async def test_taking_over_what_is_resolved_is_an_illegal_status(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)
    await service("resolve", conversation, by=SYSTEM)

    error = await desk.ask("error", "take_over", conversation=str(conversation.public_id))

    assert (error["code"], error["conversation"]) == (
        "illegal_status",
        str(conversation.public_id),
    )


async def test_reading_clears_the_unread_number(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await desk.say("read", conversation=str(conversation.public_id), seq=1)

    row = (await desk.until("conversation"))["conversation"]
    assert row["unread"] == 0


async def test_a_chosen_status_is_kept_and_told_to_all_consoles_of_the_agent(
    console: OpenConsole, agent: User
) -> None:
    desk, other = await console(agent), await console(agent)

    await desk.say("status", status="break", reason="用餐")

    assert (await desk.until("status"))["status"] == "break"
    assert (await other.until("status"))["status"] == "break"
    again = await console(agent)
    assert again.ready["agent"]["status"] == "break"


# Hints


async def test_hints_reach_those_who_watch(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await watching(console, agent, conversation)
    other = await console(agent)
    ids = {"conversation_id": conversation.pk, "contact_id": conversation.contact_id}
    public_id = str(conversation.public_id)

    @sync_to_async
    def hint() -> None:
        bus.hint(TypingStarted(**ids, by_contact=True, on=True, text="我想"))
        bus.hint(ReplyGrowing(**ids, reply_to="m1", text="您可以"))
        bus.hint(ReadMoved(**ids, by_contact=True, seq=1))

    await hint()

    assert await desk.rest() == [
        {"type": "typing", "conversation": public_id, "on": True, "text": "我想"},
        {"type": "delta", "conversation": public_id, "reply_to": "m1", "text": "您可以"},
        {"type": "read", "conversation": public_id, "seq": 1},
    ]
    assert await other.rest() == []


# The line


async def test_a_hand_off_shows_in_the_counts(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    await service("hand_off", conversation, reason=HandoffReason.ASKED)

    counts = await desk.until("counts")
    assert counts["counts"] == {"mine": 0, "unassigned": 1, "team": 1, "all": 1}


# The database goes away


@sync_to_async
def let_in(allowed: bool) -> None:
    """Whether the test's database takes connections; those that stand are cut."""
    given = connection.get_connection_params()
    given = {key: given[key] for key in ("host", "port", "user", "password") if key in given}
    name = connection.settings_dict["NAME"]
    with psycopg.connect(dbname="postgres", autocommit=True, **given) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')
        if not allowed:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )


@pytest.fixture
def reconnected(transactional_db: None) -> Iterator[None]:
    """The connection of pytest's own thread was cut too: it needs another to tidy up with."""
    yield
    connections.close_all()


@pytest.mark.slow
async def test_while_the_database_is_away_the_console_stays_and_says_so(
    console: OpenConsole, agent: User, conversation: Conversation, reconnected: None
) -> None:
    desk = await console(agent)
    reply = {"conversation": str(conversation.public_id), "client_id": new_id(), "text": "您好"}

    await let_in(False)
    try:
        await desk.say("message", **reply)
        frame = await desk.receive_json_from(timeout=30)
        while frame["type"] != "error":
            frame = await desk.receive_json_from(timeout=30)
    finally:
        await let_in(True)
        await sync_to_async(connections.close_all)()
    while (again := await desk.hear_answer("message", **reply))["type"] == "error":
        await asyncio.sleep(0.2)

    assert (frame["code"], frame["client_id"]) == ("unavailable", reply["client_id"])
    assert again["client_id"] == reply["client_id"]
    said = [text for _seq, kind, text in await log_of(conversation) if kind == "outgoing"]
    assert said == ["您好"]
