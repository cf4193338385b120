"""Who may open a console, and what nobody else is ever told."""

import asyncio
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests import factories
from tests.agents.conftest import Console, OpenConsole, say, session_headers
from tickets.envelopes import SYSTEM
from tickets.models import Conversation, Team
from tickets.services import api_keys, conversations

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

HOST = [(b"host", b"testserver")]


@sync_to_async
def key_of(user: User | None, *scopes: str, **values: object) -> list[tuple[bytes, bytes]]:
    _key, token = api_keys.create(name="test", scopes=scopes, user=user, **values)
    return [*HOST, (b"authorization", f"Bearer {token}".encode())]


async def code_for(headers: list[tuple[bytes, bytes]]) -> int:
    """The code with which a console of these headers is closed."""
    desk = Console(headers)
    assert (await desk.connect(timeout=5))[0]
    code = await desk.close_code()
    await desk.disconnect()
    return code


async def opens(headers: list[tuple[bytes, bytes]]) -> bool:
    desk = await Console(headers).open()
    await desk.disconnect()
    return desk.ready["type"] == "ready"


async def test_a_key_of_scope_console_that_acts_for_an_agent_opens(
    agent: User, nobody_there: None
) -> None:
    assert await opens(await key_of(agent, "console"))


async def test_any_other_key_does_not(agent: User) -> None:
    expired = timezone.now() - timezone.timedelta(seconds=1)

    refused = [
        await key_of(agent, "read", "write", "admin", "ai"),
        await key_of(None, "console"),
        await key_of(agent, "console", expires_at=expired),
        [*HOST, (b"authorization", b"Bearer kefu_unknown")],
        [*HOST, (b"authorization", b"Bearer ")],
        [*HOST, (b"authorization", b"Bearer " + b"x" * 10_000)],
    ]

    assert [await code_for(headers) for headers in refused] == [4401] * len(refused)


async def test_nobody_is_refused() -> None:
    refused = [
        HOST,
        [*HOST, (b"cookie", b"sessionid=unknown-session-key-0000000000")],
        [*HOST, (b"cookie", b"sessionid=")],
        [*HOST, (b"cookie", b"\xff\xfe=;;;==; sessionid")],
        [*HOST, (b"authorization", b"Basic YTpi")],
    ]

    assert [await code_for(headers) for headers in refused] == [4401] * len(refused)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://testserver.evil.example",
        "http://testserver:8001",
        "null",
        "file://",
        "http://[",
        "http://testserver:port",
        "",
    ],
)
async def test_a_page_of_another_origin_does_not_get_in_with_our_cookie(
    agent: User, origin: str
) -> None:
    headers = await sync_to_async(session_headers)(agent, origin=origin)

    assert await code_for(headers) == 4403


async def test_a_session_that_ended_ends_the_console(
    console: OpenConsole, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.presence.BEAT_S", 0.05)
    desk = await console(agent)

    await Session.objects.all().adelete()

    assert await desk.close_code() == 4401


async def test_a_person_who_was_let_go_is_let_go_here(
    console: OpenConsole, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.presence.BEAT_S", 0.05)
    desk = await console(agent)

    await User.objects.filter(pk=agent.pk).aupdate(is_active=False)

    assert await desk.close_code() == 4401


# What others have does not exist


async def test_another_teams_conversation_does_not_exist(
    console: OpenConsole, conversation: Conversation
) -> None:
    sales = await sync_to_async(factories.team)("sales")
    stranger = await sync_to_async(factories.user)("stranger", teams=[sales])
    desk = await console(stranger)
    assert [f["type"] for f in desk.opening] == ["ready", "counts"]
    assert desk.opening[-1]["counts"] == {"mine": 0, "unassigned": 0, "team": 0, "all": 0}
    public_id = str(conversation.public_id)
    message = {"client_id": str(uuid.uuid4()), "text": "您好"}

    codes = [
        (await desk.ask("error", type, conversation=public_id, **fields))["code"]
        for type, fields in [
            ("subscribe", {}),
            ("message", message),
            ("message", message | {"note": True}),
            ("typing", {"on": True}),
            ("read", {"seq": 1}),
            ("take_over", {}),
        ]
    ]
    await say(conversation, "你好")

    assert codes == ["not_found"] * 6
    assert await desk.rest() == []


async def test_what_is_transferred_away_is_removed_and_goes_silent(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    sales = await sync_to_async(factories.team)("sales")
    seller = await sync_to_async(factories.user)("seller", teams=[sales])
    desk, theirs = await console(agent), await console(seller)
    public_id = str(conversation.public_id)
    await desk.ask("messages", "subscribe", conversation=public_id)
    await desk.rest()

    await sync_to_async(conversations.transfer)(
        conversation, team=sales, note="请跟进", by=SYSTEM, now=timezone.now()
    )
    await say(conversation, "有人吗")

    frames = await desk.rest()
    assert [f for f in frames if f["type"] != "counts"] == [
        {"type": "removed", "conversation": public_id}
    ]
    assert [f["counts"]["all"] for f in frames if f["type"] == "counts"][-1] == 0
    row = (await theirs.until("conversation"))["conversation"]
    assert (row["id"], row["team"]) == (public_id, "sales")


async def test_rights_that_are_withdrawn_are_gone_with_the_next_frame(
    console: OpenConsole, agent: User, team: Team, conversation: Conversation
) -> None:
    desk = await console(agent)

    await sync_to_async(team.members.remove)(agent)

    error = await desk.ask("error", "subscribe", conversation=str(conversation.public_id))
    assert error["code"] == "not_found"


async def test_who_joins_a_team_hears_of_its_conversations(
    console: OpenConsole,
    conversation: Conversation,
    team: Team,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.presence.BEAT_S", 0.05)
    stranger = await sync_to_async(factories.user)("stranger")
    desk = await console(stranger)

    await sync_to_async(team.members.add)(stranger)
    await asyncio.sleep(0.5)
    await say(conversation, "你好")

    assert (await desk.until("conversation"))["conversation"]["id"] == str(conversation.public_id)


async def test_an_auditor_reads_everything_and_changes_nothing(
    console: OpenConsole, conversation: Conversation
) -> None:
    auditor = await sync_to_async(factories.user)("auditor", role="auditor")
    desk = await console(auditor)
    public_id = str(conversation.public_id)

    answer = await desk.ask("messages", "subscribe", conversation=public_id)
    write = {"client_id": "c1", "text": "您好"}
    refused = await desk.ask("error", "message", conversation=public_id, **write)
    taken = await desk.ask("error", "take_over", conversation=public_id)

    assert len(answer["messages"]) == 1
    assert (refused["code"], taken["code"]) == ("invalid", "invalid")
    assert desk.ready["agent"]["status"] == "offline"
