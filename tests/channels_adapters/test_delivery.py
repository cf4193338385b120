"""The door out: once, in order, and told what became of it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_adapters import delivery, line
from channels_adapters.models import Delivery
from tests.fakes.fake_platform import FakePlatform
from tests.fakes.server import as_json, html, respond
from tickets import access_tokens
from tickets.envelopes import BOT, SYSTEM, Author
from tickets.errors import NotFailed, WindowClosed
from tickets.models import Conversation, Message, ReplyWindow
from tickets.services import conversations, messages, windows

pytestmark = pytest.mark.django_db(transaction=True)
A_YEAR = timedelta(days=365)


def reply(conversation: Conversation, text: str, author: Author = SYSTEM, **more) -> Message:
    return conversations.post_reply(
        conversation, author=author, text=text, now=timezone.now(), **more
    )


def bot_says(conversation: Conversation, text: str) -> Message:
    lease = Conversation.objects.get(pk=conversation.pk).lease
    return reply(conversation, text, BOT, lease=lease)


def send(inbox, *, again: bool = False) -> None:
    if again:  # the pause is over
        Delivery.objects.filter(status="waiting").update(next_at=timezone.now() - A_YEAR)
    delivery.deliver(inbox, now=timezone.now())


def status_of(message: Message) -> tuple[str, str]:
    fresh = Message.objects.get(pk=message.pk)
    return fresh.status, fresh.provider_code


def test_a_reply_is_pending_until_its_platform_took_it(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox), "您好，在的")
    assert status_of(message) == ("pending", "")

    send(inbox)

    assert platform.sent == [{"to": "u1", "text": "您好，在的", "key": f"k{message.pk}-0"}]
    assert status_of(message) == ("sent", "")
    assert Message.objects.get(pk=message.pk).source_id == "m1"


def test_replies_of_one_person_go_in_the_order_of_the_log(inbox_of, written, platform):
    inbox = inbox_of()
    conversation = written(inbox)
    for number in range(5):
        reply(conversation, f"第 {number} 条")

    send(inbox)

    assert platform.texts == [f"第 {number} 条" for number in range(5)]


def test_notes_and_most_activity_lines_go_nowhere_but_the_line_of_the_queue_does(
    inbox_of, written, platform
):
    inbox = inbox_of()
    conversation = written(inbox)
    reply(conversation, "内部", note=True)
    conversations.hand_off(conversation, reason="asked", now=timezone.now())
    queued = Message.objects.get(meta__activity="queued")

    send(inbox)

    assert platform.texts == [queued.text]


def test_a_token_is_fetched_once_for_many_and_anew_when_it_is_refused(inbox_of, written, platform):
    inbox = inbox_of()
    conversation = written(inbox)
    for number in range(3):
        reply(conversation, f"{number}")
    send(inbox)
    assert platform.tokens == 1

    platform.call_back_token()
    reply(conversation, "还在吗")
    send(inbox)

    assert platform.texts == ["0", "1", "2", "还在吗"]


def test_another_process_takes_the_token_that_is_there(inbox_of, written, platform):
    inbox = inbox_of()
    conversation = written(inbox)
    reply(conversation, "一")
    send(inbox)
    access_tokens.forget_all()  # as in a process that has just begun
    reply(conversation, "二")
    send(inbox)

    assert (platform.tokens, platform.texts) == (1, ["一", "二"])


def test_the_shared_token_is_not_readable_in_redis(inbox_of, written, platform):
    import redis
    from django.conf import settings

    inbox = inbox_of()
    reply(written(inbox), "一")
    send(inbox)

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        [key] = [k for k in client.scan_iter("*access-token*") if not k.endswith(b":lock")]
        assert b"t1" not in client.get(key)


def test_a_limit_is_waited_for_as_the_platform_asks_and_holds_up_the_next_reply(
    inbox_of, written, platform
):
    inbox = inbox_of()
    conversation = written(inbox)
    first, second = reply(conversation, "一"), reply(conversation, "二")
    platform.will(platform.refuse("retry", retry_after_s=40, code="45009"), platform.take())
    before = timezone.now()

    send(inbox)

    waiting = Delivery.objects.get(message=first)
    assert 40 <= (waiting.next_at - before).total_seconds() <= 51
    assert (waiting.code, platform.texts) == ("45009", [])
    send(inbox, again=True)
    assert platform.texts == ["一", "二"]
    assert status_of(second) == ("sent", "")


def test_after_the_last_pause_it_is_given_up_and_a_person_may_send_it_again(
    inbox_of, written, platform
):
    inbox = inbox_of()
    message = reply(written(inbox), "一")
    platform.will(html(503))
    for _ in range(len(delivery.PAUSES_S) + 1):
        send(inbox, again=True)
    assert status_of(message) == ("failed", "503")
    assert Delivery.objects.get().status == "failed"

    platform.will(platform.take())
    assert line.send_again(Delivery.objects.get(), now=timezone.now())
    assert status_of(message) == ("pending", "")
    send(inbox)

    assert status_of(message) == ("sent", "")
    assert not line.send_again(Delivery.objects.get(), now=timezone.now())


@pytest.mark.parametrize(
    ("channel", "status"), [("fake", "failed"), ("fake_idempotent", "pending")]
)
def test_a_gateways_page_may_hide_that_it_arrived(inbox_of, written, platform, channel, status):
    inbox = inbox_of(channel)
    message = reply(written(inbox), "一")
    platform.will(html(502))
    send(inbox)

    assert status_of(message)[0] == status


def test_what_was_refused_after_it_was_taken_goes_again_under_another_key(
    inbox_of, written, platform
):
    inbox = inbox_of()
    message = reply(written(inbox), "一")
    send(inbox)
    messages.mark_failed(Message.objects.get(pk=message.pk), code="131047", detail="late")

    assert line.send_again(Delivery.objects.get(), now=timezone.now())
    send(inbox)

    assert [one["key"] for one in platform.sent] == [f"k{message.pk}-0", f"k{message.pk}-0-1"]
    assert status_of(message)[0] == "sent"


def test_what_the_platform_refuses_for_good_is_told_with_its_words(inbox_of, written, platform):
    inbox = inbox_of()
    conversation = written(inbox)
    refused, next_one = reply(conversation, "一"), reply(conversation, "二")
    platform.will(platform.refuse("permanent", code="40003"), platform.take())

    send(inbox)

    assert status_of(refused) == ("failed", "40003")
    assert status_of(next_one) == ("sent", "")


def test_no_answer_is_never_a_second_message_where_the_platform_would_show_it(
    inbox_of, written, platform
):
    inbox = inbox_of()
    message = reply(written(inbox), "一")
    platform.will(platform.take_and_hang_up())
    send(inbox)
    send(inbox, again=True)

    assert platform.texts == ["一"]
    assert status_of(message) == ("failed", "unknown")
    assert Delivery.objects.get().status == "unknown"


def test_no_answer_is_tried_again_where_the_platform_knows_our_key(inbox_of, written, platform):
    inbox = inbox_of("fake_idempotent")
    message = reply(written(inbox), "一")
    platform.will(platform.take_and_hang_up(), platform.take())
    send(inbox)
    send(inbox, again=True)

    assert [one["key"] for one in platform.sent] == [f"k{message.pk}-0"] * 2
    assert status_of(message) == ("sent", "")


def test_no_connection_is_tried_again_for_nothing_has_left(inbox_of, written):
    with FakePlatform() as gone:
        pass
    inbox = inbox_of()
    inbox.settings = {"base_url": gone.origin}
    inbox.save()
    message = reply(written(inbox), "一")

    send(inbox)

    assert status_of(message) == ("pending", "")
    assert Delivery.objects.get().code == "no_answer"


def test_a_long_reply_goes_in_numbered_parts_and_goes_on_where_it_was_stopped(
    inbox_of, written, platform
):
    inbox = inbox_of()
    message = reply(written(inbox), "好的，已经发出。" * 60)
    platform.will(platform.take(), platform.refuse("retry"), platform.take())
    send(inbox)
    assert Delivery.objects.get().parts_done == 1

    send(inbox, again=True)

    parts = platform.texts
    assert [part[:5] for part in parts] == [f"({n}/{len(parts)})" for n in range(1, len(parts) + 1)]
    assert "".join(part.split(" ", 1)[1] for part in parts) == message.text
    assert all(len(part) <= 200 for part in parts)
    assert len({one["key"] for one in platform.sent}) == len(parts)


def test_the_bots_marks_and_buttons_become_plain_text(inbox_of, written, platform):
    inbox = inbox_of()
    conversation = written(inbox)
    lease = Conversation.objects.get(pk=conversation.pk).lease
    reply(
        conversation,
        "**可以退**，见 [说明](https://shop.example/r)",
        BOT,
        lease=lease,
        buttons=["转人工"],
    )

    send(inbox)

    assert platform.texts == ["可以退，见 说明 https://shop.example/r\n· 转人工"]


def test_a_disabled_inbox_sends_nothing_and_says_so(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox), "一")
    inbox.enabled = False
    inbox.save()

    send(inbox)

    assert platform.sent == []
    assert status_of(message) == ("failed", "channel_off")


# Windows and quota ----------------------------------------------------------------------------


def test_five_may_follow_and_the_machine_leaves_the_last_to_people(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    identity = conversation.reply_identity
    for number in range(4):
        bot_says(conversation, f"机器人 {number}")
        send(inbox)
    assert windows.state(identity, now=timezone.now()).remaining == 1

    refused = bot_says(conversation, "机器人再说")
    send(inbox)
    assert status_of(refused) == ("failed", "quota_kept")

    person = reply(conversation, "客服来了")
    send(inbox)
    assert status_of(person) == ("sent", "")
    with pytest.raises(WindowClosed, match="until the contact writes"):
        reply(conversation, "还有")

    written(inbox, "好的", source_id="in-2")
    assert windows.state(identity, now=timezone.now()).remaining == 5


def test_a_window_that_closed_after_the_reply_was_written_fails_it(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    late = reply(conversation, "一")
    windows.close(conversation.reply_identity, now=timezone.now())
    send(inbox)

    assert status_of(late) == ("failed", "window_closed")
    assert platform.sent == []


def test_each_part_is_one_of_the_quota_and_too_many_are_not_begun(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    identity = conversation.reply_identity
    long = reply(conversation, "好的，已经发出。" * 60)  # three parts
    send(inbox)
    assert len(platform.sent) == 3
    assert status_of(long) == ("sent", "")
    assert windows.state(identity, now=timezone.now()).remaining == 2

    too_long = reply(conversation, "好的，已经发出。" * 60)
    send(inbox)

    assert status_of(too_long) == ("failed", "window_closed")
    assert len(platform.sent) == 3
    assert windows.state(identity, now=timezone.now()).remaining == 2


def test_of_parts_that_were_set_aside_only_those_that_went_are_counted(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    reply(conversation, "好的，已经发出。" * 60)
    platform.will(platform.take(), platform.refuse("retry"), platform.take())
    send(inbox)
    window = ReplyWindow.objects.get()
    assert (window.used, window.reserved) == (1, 0)

    send(inbox, again=True)

    window.refresh_from_db()
    assert (window.used, window.reserved) == (3, 0)


def test_one_that_cannot_be_recorded_makes_no_other_doubtful(inbox_of, written, platform):
    inbox = inbox_of()
    people = [written(inbox, sender=f"u{n}", source_id=f"in-{n}") for n in range(3)]
    said = [reply(conversation, "在的") for conversation in people]
    platform.will(as_json({"id": "the same"}))  # a platform that breaks its promise
    send(inbox)

    assert sorted(status_of(message) for message in said) == [
        ("failed", "unknown"),
        ("failed", "unknown"),
        ("sent", ""),
    ]


def test_what_is_read_for_a_round_does_not_grow_with_it(inbox_of, written, platform):
    inbox = inbox_of()
    for n in range(6):
        reply(written(inbox, sender=f"u{n}", source_id=f"in-{n}"), "在的")
    line.enter_pending()
    for limit in (1, 5):
        claimed = line.claim(inbox, now=timezone.now(), limit=limit)
        with CaptureQueriesContext(connection) as queries:
            assert len(delivery.prepare(inbox, claimed, now=timezone.now())) == limit
        assert len(queries) == 2


def test_the_machines_bubbles_that_wait_together_go_as_one(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    said = [bot_says(conversation, text) for text in ("第一", "第二", "第三")]

    send(inbox)

    assert platform.texts == ["第一\n\n第二\n\n第三"]
    assert [status_of(message) for message in said] == [("sent", "")] * 3
    assert windows.state(conversation.reply_identity, now=timezone.now()).remaining == 4


def test_the_platform_is_right_where_it_says_that_the_window_is_closed(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    message = reply(conversation, "一")
    platform.will(platform.refuse("window_closed", code="45015"))
    send(inbox)

    assert status_of(message) == ("failed", "45015")
    assert not windows.state(conversation.reply_identity, now=timezone.now()).allowed


def test_what_was_set_aside_and_not_sent_is_given_back(inbox_of, written, platform):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    reply(conversation, "一")
    platform.will(platform.refuse("retry"))
    send(inbox)

    window = ReplyWindow.objects.get()
    assert (window.used, window.reserved) == (0, 0)


def test_many_at_once_cannot_promise_more_than_there_is(inbox_of, written):
    conversation = written(inbox_of("fake_windowed"))
    identity, got = conversation.reply_identity, []

    def reserve() -> None:
        got.append(windows.reserve(identity, now=timezone.now()))
        connection.close()

    threads = [threading.Thread(target=reserve) for _ in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert sum(one is not None for one in got) == 5


# Workers --------------------------------------------------------------------------------------


def test_several_workers_send_each_reply_once_and_each_persons_in_order(
    inbox_of, written, platform
):
    inbox = inbox_of()
    people = [written(inbox, sender=f"u{n}", source_id=f"in-{n}") for n in range(6)]
    for number in range(4):
        for conversation in people:
            reply(conversation, f"{number}")

    def work() -> None:
        for _ in range(4):
            delivery.deliver(inbox, now=timezone.now())
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]

    assert len(platform.sent) == 24
    for n in range(6):
        assert [one["text"] for one in platform.sent if one["to"] == f"u{n}"] == list("0123")


def test_what_a_dead_worker_held_is_doubtful_or_tried_again(inbox_of, written, platform):
    for channel, expected in (("fake", "unknown"), ("fake_idempotent", "sent")):
        inbox = inbox_of(channel)
        message = reply(written(inbox, sender=channel, source_id=channel), "一")
        line.enter_pending()
        [held] = line.claim(inbox, now=timezone.now(), limit=1)  # and then it died
        Delivery.objects.filter(pk=held.pk).update(claimed_until=timezone.now() - A_YEAR)

        for doubtful in line.free_held(now=timezone.now()):
            delivery.give_up_on(doubtful, now=timezone.now())
        send(inbox)

        assert Delivery.objects.get(message=message).status == expected
    assert platform.texts == ["一"]


def test_an_answer_that_is_no_json_is_tried_again(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox), "一")
    platform.will(respond(b"\xff\xfe<html>", 200), platform.take())
    send(inbox)
    send(inbox, again=True)

    assert status_of(message) == ("sent", "")


def test_a_reply_that_failed_is_sent_again_when_somebody_asks(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox), "在的")
    platform.will(platform.refuse("permanent", code="40003"))
    send(inbox)
    assert status_of(message) == ("failed", "40003")

    platform.will(platform.take())
    messages.ask_again(message, now=timezone.now())
    send(inbox)

    assert status_of(message) == ("sent", "")
    with pytest.raises(NotFailed):
        messages.ask_again(message, now=timezone.now())
