"""What lies with the platform: people's files, and who they are."""

import io

import pytest
from celery.exceptions import Retry
from django.test import Client
from django.utils import timezone
from PIL import Image

from channels_adapters import fetching, profiles, tasks, words
from channels_adapters.testing import post_webhook
from tests.channels_adapters.conftest import drain
from tests.fakes.server import as_json, respond, stall
from tickets.envelopes import MessageType
from tickets.models import Contact, IdentityLink, Message
from tickets.text import clean

pytestmark = pytest.mark.django_db(transaction=True)


def picture() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(drawn, "PNG")
    return drawn.getvalue()


def sent_picture(inbox, *keys: str) -> Message:
    said = {"id": "in-1", "from": "u1", "text": words.placeholder(MessageType.IMAGE)}
    post_webhook(Client(), inbox, {"messages": [{**said, "type": "image", "files": keys}]})
    drain()
    return Message.objects.get(kind="incoming")


def test_a_picture_takes_the_place_of_its_words(inbox_of, platform):
    platform.shelf["/files/p1"] = respond(picture(), 200, "image/png")
    message = sent_picture(inbox_of(), "p1")
    assert clean(message.text) == "[图片]"

    assert fetching.fetch(message, now=timezone.now()) == 1

    fresh = Message.objects.get(pk=message.pk)
    attachment = fresh.attachments.get()
    assert (fresh.text, attachment.content_type, attachment.width) == ("", "image/png", 4)
    assert fetching.fetch(fresh, now=timezone.now()) == 0
    assert fresh.attachments.count() == 1


@pytest.mark.parametrize(
    "answer",
    [
        respond(b"<html><script>alert(1)</script></html>", 200, "image/png"),
        respond(b"MZ\x90\x00" + b"\x00" * 64, 200, "image/png"),
        as_json({"error": "permanent", "code": "40007"}, 400),
        respond(b"", 200, "image/png"),
    ],
    ids=["html", "program", "gone", "empty"],
)
def test_what_is_no_file_of_ours_is_not_kept_and_the_words_stay(inbox_of, platform, answer):
    platform.shelf["/files/p1"] = answer
    platform.shelf["/files/p2"] = respond(picture(), 200, "image/png")
    message = sent_picture(inbox_of(), "p1", "p2")

    assert fetching.fetch(message, now=timezone.now()) == 1
    assert message.attachments.get().position == 1


def test_a_platform_that_is_silent_holds_nothing_for_ever(inbox_of, platform, monkeypatch):
    monkeypatch.setattr("channels_adapters.http.READ_S", 0.2)
    platform.shelf["/files/p1"] = stall()
    message = sent_picture(inbox_of(), "p1")

    assert fetching.fetch(message, now=timezone.now()) == 0
    assert Message.objects.get(pk=message.pk).text == "[图片]"


def test_a_file_that_cannot_be_had_now_is_fetched_later_and_what_came_stays(inbox_of, platform):
    platform.shelf["/files/p1"] = as_json({"error": "retry"}, 503)
    platform.shelf["/files/p2"] = respond(picture(), 200, "image/png")
    message = sent_picture(inbox_of(), "p1", "p2")

    with pytest.raises(Retry) as again:
        tasks.fetch_media.apply([[message.pk]], throw=True)
    assert again.value.when == tasks.LATER_S
    assert message.attachments.count() == 1

    platform.shelf["/files/p1"] = respond(picture(), 200, "image/png")
    assert fetching.is_settled(message)
    assert message.attachments.count() == 2


def test_who_they_are_is_asked_once_a_day_and_joins_them(inbox_of, written, platform):
    said = {"name": "小王", "union_id": "wechat:u1", "avatar_url": "https://a.example/w.png"}
    platform.shelf["/people/u1"] = platform.shelf["/people/u2"] = as_json(said)
    people = []
    for channel, address in (("fake", "u1"), ("fake_idempotent", "u2")):
        conversation = written(inbox_of(channel), sender=address, source_id=address)
        identity = conversation.reply_identity
        assert profiles.fetch(identity, now=timezone.now())
        assert not profiles.fetch(identity, now=timezone.now())
        people.append(identity)

    assert Contact.objects.standing().get().name == "小王"
    assert IdentityLink.objects.get().evidence == "unionid"


def test_a_name_that_people_gave_stays(inbox_of, written, platform):
    platform.shelf["/people/u1"] = as_json({"name": "微信用户"})
    conversation = written(inbox_of())
    Contact.objects.update(name="王先生")
    identity = conversation.reply_identity
    identity.contact.refresh_from_db()

    profiles.fetch(identity, now=timezone.now())

    assert Contact.objects.get().name == "王先生"
