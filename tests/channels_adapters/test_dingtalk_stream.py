"""Stream mode, on real sockets: what comes by it is stored before it is acknowledged."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import OperationalError

from channels_adapters import inbound
from channels_adapters.dingtalk import stream
from tests import factories
from tests.channels_adapters import story
from tests.fakes.dingtalk_server import ROBOT_TOPIC, FakeDingTalk
from tickets import outbound
from tickets.models import Envelope, Inbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dingtalk(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDingTalk]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(stream, "PAUSE_S", (0.05,))
    with FakeDingTalk() as server:
        yield server


def an_inbox(dingtalk: FakeDingTalk, **credentials: str) -> Inbox:
    return factories.inbox(
        "dingtalk",
        key="ding",
        credentials={**dingtalk.credentials, **credentials},
        settings={"base_url": dingtalk.origin},
    )


async def serve_until(inbox: Inbox, done: Callable[[], bool]) -> None:
    work = asyncio.create_task(stream.serve(inbox.pk))
    try:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.02)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_messages_and_events_are_stored_and_then_acknowledged(dingtalk):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    event = {"eventType": "user_modify_org", "eventId": "e1"}
    dingtalk.frames += [
        dingtalk.frame("SYSTEM", "ping", '{"opaque":"o1"}'),
        dingtalk.frame("CALLBACK", ROBOT_TOPIC, dingtalk.robot("你好")),
        dingtalk.frame("EVENT", "*", {"userId": ["u1"]}, **event),
        dingtalk.frame("CALLBACK", "/v1.0/card/instances/callback", {}),
    ]

    await serve_until(inbox, lambda: len(dingtalk.acks) == 4)

    assert [one["code"] for one in dingtalk.acks] == [200, 200, 200, 200]
    assert dingtalk.acks[0]["data"] == '{"opaque":"o1"}'
    kept = await sync_to_async(lambda: list(Envelope.objects.values_list("source_id", "kind")))()
    assert [kind for _, kind in kept] == ["message", "event"]
    assert kept[1][0] == "event:e1"
    await sync_to_async(story.drain)()
    assert [one.text for one in await sync_to_async(story.incoming)()] == ["你好"]


async def test_asked_to_it_opens_another_connection(dingtalk):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    dingtalk.frames.append(dingtalk.frame("SYSTEM", "disconnect", "{}"))

    await serve_until(inbox, lambda: dingtalk.streams == 2)

    assert len(dingtalk.asked("/v1.0/gateway/connections/open")) == 2


async def test_a_refusal_is_logged_without_secrets_and_tried_again(dingtalk, caplog):
    inbox = await sync_to_async(an_inbox)(dingtalk, app_secret="wrong-secret-9")
    caplog.set_level(logging.DEBUG)

    await serve_until(inbox, lambda: len(dingtalk.requests) >= 2)

    assert "invalidClientIdOrSecret" in caplog.text
    assert "wrong-secret-9" not in caplog.text


async def test_no_ticket_is_logged(dingtalk, caplog):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    caplog.set_level(logging.DEBUG)
    dingtalk.frames.append(dingtalk.frame("SYSTEM", "disconnect", "{}"))

    await serve_until(inbox, lambda: dingtalk.streams == 2)

    ours = [one.getMessage() for one in caplog.records if one.name != "websockets.server"]
    assert any("is open" in line for line in ours)
    assert not any("ticket%20" in line for line in ours)


async def test_what_could_not_be_stored_comes_again(dingtalk, monkeypatch):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    accept, failures = inbound.accept, [OperationalError("the database is away")]

    def once_away(*args: Any, **values: Any) -> list[str]:
        if failures:
            raise failures.pop()
        return accept(*args, **values)

    monkeypatch.setattr(inbound, "accept", once_away)
    dingtalk.frames.append(dingtalk.frame("CALLBACK", ROBOT_TOPIC, dingtalk.robot("你好")))

    await serve_until(inbox, lambda: len(dingtalk.acks) == 1)

    assert dingtalk.streams == 2
    assert await sync_to_async(Envelope.objects.count)() == 1


async def test_a_message_to_an_inbox_disabled_meanwhile_is_not_taken(dingtalk):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    work = asyncio.create_task(stream.serve(inbox.pk))
    while not dingtalk.streams:
        await asyncio.sleep(0.02)
    inbox.enabled = False
    await sync_to_async(inbox.save)()
    dingtalk.frames.append(dingtalk.frame("CALLBACK", ROBOT_TOPIC, dingtalk.robot("你好")))

    await asyncio.wait_for(work, 10)

    assert (dingtalk.acks, len(dingtalk.frames)) == ([], 1)
    assert not await sync_to_async(Envelope.objects.exists)()


async def test_a_disabled_inbox_ends_its_service(dingtalk):
    inbox = await sync_to_async(an_inbox)(dingtalk)
    inbox.enabled = False
    await sync_to_async(inbox.save)()

    await asyncio.wait_for(stream.serve(inbox.pk), 5)

    assert dingtalk.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost"])
async def test_a_socket_is_guarded_as_every_call_is(settings, host):
    settings.OUTBOUND_ALLOW = []

    with pytest.raises(outbound.AddressRefused):
        await outbound.open_socket(host, 80, timeout_s=2)


def test_the_command_names_what_is_missing(dingtalk):
    with pytest.raises(CommandError, match="no enabled DingTalk inbox has app_key"):
        call_command("dingtalk_stream")
    with pytest.raises(CommandError, match="nobody: no enabled DingTalk inbox"):
        call_command("dingtalk_stream", inbox=["nobody"])
    an_inbox(dingtalk, app_secret="")
    with pytest.raises(CommandError, match="ding: not set: app_secret"):
        call_command("dingtalk_stream", inbox=["ding"])
