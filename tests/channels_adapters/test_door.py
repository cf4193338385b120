"""The door for platforms, and what becomes of what they hand in."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from channels_adapters import delivery, handling, inbound, registry
from channels_adapters.models import Delivery
from channels_adapters.testing import AdapterContract, FakeChannel, post_webhook, sign
from channels_adapters.wire import HookRequest
from tests import factories
from tests.channels_adapters.conftest import SECRET, drain
from tickets import intake
from tickets.envelopes import SYSTEM
from tickets.models import Envelope, Message, ReplyRoute
from tickets.services import conversations

BODY = json.dumps({"messages": [{"id": "m1", "from": "u1", "text": "你好"}]}).encode()


class TestFake(AdapterContract):
    adapter_class = FakeChannel
    credentials = {"secret": SECRET}
    good = HookRequest("POST", headers={"x-fake-signature": sign(BODY, SECRET)}, body=BODY)
    unknown = {"something": "new"}


def said(*texts: str, sender: str = "u1") -> dict:
    return {
        "messages": [{"id": f"{sender}-{text}", "from": sender, "text": text} for text in texts]
    }


def test_a_message_is_kept_then_answered_then_opened(inbox_of):
    inbox = inbox_of()

    response = post_webhook(Client(), inbox, said("在吗"))

    assert response.status_code == 200
    envelope = Envelope.objects.get()
    assert (envelope.status, envelope.raw) == ("received", said("在吗"))
    drain()
    assert Message.objects.get().text == "在吗"
    assert Envelope.objects.get().status == "done"


def test_a_redelivery_is_answered_well_and_kept_once(inbox_of):
    inbox = inbox_of()
    for _ in range(3):
        assert post_webhook(Client(), inbox, said("在吗")).status_code == 200
        drain()

    assert Envelope.objects.count() == Message.objects.count() == 1


def test_a_batch_and_its_redelivery_in_other_parts_is_kept_once_and_in_order(inbox_of):
    inbox = inbox_of()
    post_webhook(Client(), inbox, said("一", "二", "三"))
    post_webhook(Client(), inbox, said("三", "四"))
    drain()

    texts = Message.objects.filter(kind="incoming").order_by("seq").values_list("text", flat=True)
    assert list(texts) == ["一", "二", "三", "四"]


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"X-Fake-Signature": "0" * 64}, 403)])
def test_what_is_not_signed_is_refused_and_not_kept(inbox_of, headers, status):
    inbox = inbox_of()

    response = Client().post(
        f"/hooks/{inbox.key}/", BODY, content_type="application/json", headers=headers
    )

    assert response.status_code == status
    assert not Envelope.objects.exists()


def test_an_unknown_and_a_disabled_inbox_are_404(inbox_of):
    inbox = inbox_of(enabled=False)

    assert post_webhook(Client(), inbox, said("在吗")).status_code == 404
    assert Client().post("/hooks/nobody/", BODY, content_type="text/plain").status_code == 404
    assert Client().get("/hooks/a%00b/").status_code == 404


def test_other_methods_are_405_and_large_bodies_413(inbox_of):
    inbox = inbox_of()

    assert Client().put(f"/hooks/{inbox.key}/").status_code == 405
    for size in (1024 * 1024 + 1, 20 * 1024 * 1024):
        response = Client().post(
            f"/hooks/{inbox.key}/", b"x" * size, content_type="application/json"
        )
        assert response.status_code == 413
    assert not Envelope.objects.exists()


def test_an_inbox_without_what_its_callback_needs_answers_403(inbox_of):
    inbox = inbox_of()
    inbox.credentials = {}
    inbox.save()

    response = Client().post(f"/hooks/{inbox.key}/", BODY, content_type="application/json")

    assert (response.status_code, response.content) == (403, b"not_configured")


def test_a_payload_that_the_adapter_stumbles_over_is_kept_and_replayed_once_it_is_mended(
    inbox_of, monkeypatch
):
    inbox = inbox_of()
    with monkeypatch.context() as broken:
        broken.setattr(FakeChannel, "parse", lambda *_: 1 / 0)
        assert post_webhook(Client(), inbox, said("在吗")).status_code == 200
    envelope = Envelope.objects.get()
    assert (envelope.kind, envelope.status) == ("unread", "failed")
    assert "ZeroDivisionError" in envelope.error

    assert inbound.replay(envelope, now=timezone.now())
    drain()

    assert Message.objects.get().text == "在吗"
    assert not Envelope.objects.dead().exists()


def test_one_bad_envelope_holds_up_no_other(inbox_of, monkeypatch):
    inbox = inbox_of()
    post_webhook(Client(), inbox, said("一", "毒", "二"))
    receive = conversations.receive

    def stumble(batch, *, now):
        if any(message.text == "毒" for message in batch):
            raise ValueError("poison")
        return receive(batch, now=now)

    monkeypatch.setattr(conversations, "receive", stumble)
    drain()

    texts = Message.objects.filter(kind="incoming").order_by("seq").values_list("text", flat=True)
    assert list(texts) == ["一", "二"]
    dead = Envelope.objects.dead().get()
    assert dead.error == "ValueError: poison"
    monkeypatch.undo()
    assert inbound.replay(dead, now=timezone.now())
    drain()
    assert Message.objects.filter(text="毒").exists()


def test_while_the_database_is_away_the_platform_is_told_to_come_again(inbox_of, monkeypatch):
    inbox = inbox_of()

    def away(*_, **__):
        raise OperationalError("the server is away")

    monkeypatch.setattr(intake, "accept_all", away)

    assert post_webhook(Client(), inbox, said("在吗")).status_code == 503


def test_a_receipt_moves_its_message_forward_and_never_back(inbox_of, written):
    inbox = inbox_of()
    conversation = written(inbox)
    message = conversation.messages.get()
    Message.objects.filter(pk=message.pk).update(
        kind="outgoing", status="sent", source_id="platform-1"
    )
    for number, status in enumerate(["read", "delivered", "failed"]):
        event = {"id": str(number), "kind": "receipt"}
        event["data"] = {"platform_id": "platform-1", "status": status}
        post_webhook(Client(), inbox, {"events": [event]})

    for pk in Envelope.objects.lying().for_adapters().values_list("pk", flat=True):
        assert handling.handle(pk, now=timezone.now())

    assert Message.objects.get(pk=message.pk).status == "read"


def test_an_event_that_nobody_knows_is_kept_and_done_with(inbox_of):
    inbox = inbox_of()
    post_webhook(Client(), inbox, {"events": [{"id": "e1", "kind": "new_moon"}]})
    envelope = Envelope.objects.get()

    assert handling.handle(envelope.pk, now=timezone.now())
    assert not handling.handle(envelope.pk, now=timezone.now())
    assert Envelope.objects.get().status == "done"


def test_nul_and_lone_surrogates_are_stored_as_a_database_can(inbox_of):
    inbox = inbox_of()
    body = b'{"messages":[{"id":"m\\u0000x","from":"u1","text":"a\\u0000b\\ud800"}]}'
    response = Client().post(
        f"/hooks/{inbox.key}/",
        body,
        content_type="application/json",
        headers={"X-Fake-Signature": sign(body, SECRET)},
    )
    drain()

    assert response.status_code == 200
    assert Message.objects.get().text == "ab\ufffd"


def test_channels_without_an_adapter_have_no_door(db):
    factories.inbox("web", key="site")

    assert not registry.has_adapter("web")
    assert Client().post("/hooks/site/", BODY, content_type="text/plain").status_code == 404


def test_the_command_replays_what_failed_and_names_the_inboxes_there_are(
    inbox_of, monkeypatch, capsys
):
    inbox = inbox_of()
    with monkeypatch.context() as broken:
        broken.setattr(FakeChannel, "parse", lambda *_: 1 / 0)
        post_webhook(Client(), inbox, said("在吗"))

    call_command("replay_envelopes", inbox=inbox.key)
    drain()

    assert capsys.readouterr().out == "1 replayed, 0 as before\n"
    assert Message.objects.get().text == "在吗"
    with pytest.raises(CommandError, match="no inbox 'nope'; there are fake"):
        call_command("replay_envelopes", inbox="nope")


def test_people_replay_envelopes_and_send_deliveries_again_in_the_admin(
    inbox_of, written, platform, monkeypatch
):
    inbox = inbox_of()
    with monkeypatch.context() as broken:
        broken.setattr(FakeChannel, "parse", lambda *_: 1 / 0)
        post_webhook(Client(), inbox, said("在吗"))
    conversation = written(inbox)
    now = timezone.now()
    conversations.post_reply(conversation, author=SYSTEM, text="在的", now=now)
    platform.will(platform.refuse("permanent", code="40003"))
    delivery.deliver(inbox, now=now)
    client = Client()
    client.force_login(factories.user("boss", role="admin"))
    envelope, failed = Envelope.objects.dead().get(), Delivery.objects.get()

    for model, action, pk in (
        ("tickets/envelope", "replay", envelope.pk),
        ("channels_adapters/delivery", "send_again", failed.pk),
    ):
        body = {"action": action, "_selected_action": [pk]}
        response = client.post(f"/admin/{model}/", body, follow=True)
        assert response.status_code == 200
        assert "40003" in response.content.decode() or model == "tickets/envelope"

    assert not Envelope.objects.dead().exists()
    assert Delivery.objects.get().status == "waiting"


def test_envelopes_are_forgotten_long_after_no_platform_delivers_them_again(inbox_of):
    inbox = inbox_of()
    post_webhook(Client(), inbox, said("一", "二", "三"))
    drain()
    Envelope.objects.filter(source_id="u1-二").update(status="failed")

    assert intake.forget(timezone.now()) == 2
    assert Envelope.objects.get().source_id == "u1-二"


def test_what_lies_in_a_lane_shows_as_its_lag(inbox_of, client):
    inbox = inbox_of()
    post_webhook(Client(), inbox, said("一"))
    Envelope.objects.update(created_at=timezone.now() - timedelta(seconds=90))

    lines = client.get("/metrics").content.decode().splitlines()

    lag = [line for line in lines if line.startswith("kefu_intake_lag_seconds{")]
    lane = Envelope.objects.get().lane
    [mine] = [line for line in lag if f'lane="{lane}"' in line]
    assert 90 <= float(mine.split()[-1]) < 120
    assert len(lag) == 16


def test_what_is_replayed_turns_no_window_back(inbox_of, monkeypatch):
    inbox = inbox_of("fake_windowed")
    with monkeypatch.context() as broken:
        broken.setattr(conversations, "receive", lambda *_, **__: 1 / 0)
        post_webhook(Client(), inbox, said("早的"))
        drain()
    dead = Envelope.objects.dead().get()
    post_webhook(Client(), inbox, said("晚的"))
    drain()
    later = ReplyRoute.objects.get().updated_at

    assert inbound.replay(dead, now=timezone.now())
    drain()

    assert Message.objects.filter(kind="incoming").count() == 2
    assert ReplyRoute.objects.get().updated_at == later
