"""A mailbox over IMAP and SMTP, with real servers: threads, loops, bounces, files."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from channels_adapters import inbound
from channels_adapters.email import mailboxes, servers
from channels_adapters.email.imap import opened
from channels_adapters.models import Delivery, Mailbox
from tests import factories
from tests.channels_adapters.platforms import (
    PNG,
    deliver,
    deliver_later,
    fresh,
    reply,
    take_in,
    together,
)
from tests.fakes.mail import CAN_RUN_DOVECOT, Dovecot, Relay
from tickets.envelopes import BOT
from tickets.models import Attachment, Conversation, Envelope, Inbox, Message
from tickets.payloads import message_extras
from tickets.services import attachments, conversations

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not CAN_RUN_DOVECOT,
        reason="NO MAILBOX TESTS: Dovecot is missing. As root: apt-get install dovecot-imapd",
    ),
]


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as server:
        yield server


@pytest.fixture
def inbox(imap: Dovecot, relay: Relay, settings: Any, request: Any) -> Inbox:
    """A mailbox of its own for each test, looked into once."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    cache.clear()
    user = f"u{abs(hash(request.node.name)) % 10**9}"
    inbox = factories.inbox(
        "email",
        key=user,
        credentials={
            "address": "Help@shop.example",
            "imap_url": imap.url(user),
            "smtp_url": relay.url(),
        },
    )
    assert fetch(inbox) == 0
    assert Mailbox.objects.get().error == ""
    return inbox


@pytest.fixture
def arrive(inbox: Inbox, imap: Dovecot) -> Callable[..., list[Message]]:
    """Mails arrive, are fetched and taken in; all messages of people so far."""

    def arrive(*mails: bytes) -> list[Message]:
        for mail in mails:
            imap.put(inbox.key, mail)
        fetch(inbox)
        return take_in()

    return arrive


def fetch(inbox: Inbox) -> int:
    return mailboxes.fetch(inbox, now=timezone.now())


def mail(text: str = "你好", **headers: str) -> bytes:
    values = {
        "From": "张三 <Zhang.San@example.net>",
        "To": "help@shop.example",
        "Subject": "退款",
        "Message-ID": "<1@mail.example.net>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    made = EmailMessage()
    for name, value in values.items():
        if value:
            made[name] = value
    made.set_content(text)
    return made.as_bytes()


# In and out -----------------------------------------------------------------------------------


def test_a_question_is_answered_in_its_thread(inbox, arrive, relay, imap):
    (asked,) = arrive(mail("多久到账？", References="<0@mail.example.net>"))

    answer = reply(asked, "三天内到账。")
    deliver(inbox)

    assert (asked.text, asked.identity.external_id) == (
        "主题：退款\n\n多久到账？",
        "zhang.san@example.net",
    )
    assert asked.conversation.contact.name == "张三"
    (sent,) = relay.mails
    assert sent["To"] == "zhang.san@example.net"
    assert sent["Subject"] == "Re: 退款"
    assert sent["In-Reply-To"] == "<1@mail.example.net>"
    assert sent["References"] == "<0@mail.example.net> <1@mail.example.net>"
    assert sent["From"].addresses[0].addr_spec == "help@shop.example"
    assert sent["Auto-Submitted"] is None
    assert sent.get_content().strip() == "三天内到账。"
    assert fresh(answer).status == "sent"
    assert imap.unseen(inbox.key) == 1  # people who read the mailbox themselves see it as new


def test_their_answer_goes_on_in_the_thread_without_what_it_quotes(inbox, arrive, relay):
    (asked,) = arrive(mail())
    reply(asked, "三天内到账。")
    deliver(inbox)
    ours = str(relay.mails[0]["Message-ID"])

    text = "谢谢！\n\n在 2026年11月23日，Help 写道：\n> 三天内到账。\n"
    again = arrive(mail(text, In_Reply_To=ours, Message_ID="<2@x>", Subject="Re: 退款"))[-1]

    assert again.text == "谢谢！"
    assert "三天内到账" in message_extras(again.meta)["quoted"]  # folded in the console
    assert again.conversation_id == asked.conversation_id


def test_gb2312_means_gb18030(arrive):
    body = "镕基：手机無法支付".encode("gb18030")
    subject = base64.b64encode("支付問題".encode("gb18030")).decode()
    raw = (
        f"From: a@b.example\nSubject: =?gb2312?B?{subject}?=\nMessage-ID: <g@b>\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=gb2312\n"
        "Content-Transfer-Encoding: base64\n\n" + base64.b64encode(body).decode()
    )

    (message,) = arrive(raw.encode())

    assert message.text == "主题：支付問題\n\n镕基：手机無法支付"


def test_html_becomes_harmless_text(arrive):
    made = EmailMessage()
    made["From"], made["Message-ID"] = "a@b.example", "<h@b>"
    made.set_content(
        "<style>p{}</style><p>Hi <b>there</b></p><script>alert(1)</script>"
        '<p>see <a href="https://x.example/a">this</a><img src="https://track.example/p.gif"></p>'
        "<blockquote><p>old words</p></blockquote>",
        subtype="html",
    )

    (message,) = arrive(made.as_bytes())

    assert message.text == "Hi there\n\nsee this (https://x.example/a)"


def test_files_come_and_go(inbox, arrive, relay):
    made = EmailMessage()
    made["From"], made["Message-ID"], made["Subject"] = "a@b.example", "<f@b>", "看图"
    made.set_content("见附件")
    made.add_attachment(PNG, maintype="image", subtype="png", filename="坏了.png")
    made.add_attachment(b"MZ\x90\x00", maintype="application", subtype="exe", filename="run.exe")
    (message,) = arrive(made.as_bytes())
    agent = factories.user()
    ours = attachments.store(BytesIO(b"%PDF-1.4 x"), name="发票.pdf", uploader_id=agent.pk)

    reply(message, "发票在此", attachments=[ours.public_id], agent=agent)
    deliver(inbox)

    assert [(a.name, a.content_type) for a in Attachment.objects.filter(message=message)] == [
        ("坏了.png", "image/png")
    ]
    assert "[附件 run.exe 未保存：" in message.text
    (sent,) = relay.mails  # text and file in one mail
    (file,) = sent.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("发票.pdf", b"%PDF-1.4 x")


# Once -----------------------------------------------------------------------------------------


def test_a_mail_is_taken_in_once(inbox, arrive):
    arrive(mail(), mail())

    fetch(inbox)

    assert len(take_in()) == 1


def test_a_mailbox_that_counts_anew_is_read_again_without_doubles(inbox, arrive):
    arrive(mail())
    Mailbox.objects.update(uid_validity=1)

    messages = arrive(mail(Message_ID="<2@x>"))

    assert len(messages) == 2
    assert Mailbox.objects.get().uid_validity != 1


def test_old_mail_is_nobodys_question(imap, relay, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    imap.put("old", mail())
    urls = {"imap_url": imap.url("old"), "smtp_url": relay.url()}
    inbox = factories.inbox("email", credentials={"address": "help@shop.example", **urls})

    assert (fetch(inbox), fetch(inbox)) == (0, 0)

    assert not Envelope.objects.exists()


def test_several_workers_take_in_and_send_each_mail_once(inbox, imap, relay):
    for number in range(3):
        imap.put(inbox.key, mail(Message_ID=f"<{number}@x>"))

    together(lambda: fetch(inbox))
    messages = take_in()
    reply(messages[0], "一")
    together(lambda: deliver(inbox))

    assert len(messages) == 3
    assert len(relay.mails) == 1


def test_only_one_worker_is_in_a_mailbox(inbox, imap):
    imap.put(inbox.key, mail())
    later = timezone.now() + timedelta(minutes=1)
    Mailbox.objects.update(claimed_until=later)

    assert fetch(inbox) == 0
    assert mailboxes.due(now=timezone.now()) == []

    Mailbox.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert fetch(inbox) == 1


# Threads --------------------------------------------------------------------------------------


def test_somebody_copied_in_joins_a_stranger_with_the_same_id_does_not(inbox, arrive, relay):
    (asked,) = arrive(mail(Cc="Colleague@example.net"))
    reply(asked, "好的")
    deliver(inbox)
    ours = str(relay.mails[0]["Message-ID"])

    joined = arrive(
        mail("我也是", From="colleague@example.net", Message_ID="<2@x>", References=ours)
    )[-1]
    stranger = arrive(mail("?", From="mallory@evil.example", Message_ID="<3@x>", In_Reply_To=ours))

    assert relay.recipients[0] == ["zhang.san@example.net", "colleague@example.net"]
    assert joined.conversation_id == asked.conversation_id
    assert joined.text == "[colleague@example.net 回复]\n\n我也是"
    assert stranger[-1].conversation_id != asked.conversation_id


def test_a_guessed_id_and_a_shared_subject_join_nothing(arrive):
    (asked,) = arrive(mail())

    other = arrive(mail(From="b@b.example", Message_ID="<2@x>", In_Reply_To="<k1-0@shop.example>"))[
        -1
    ]

    assert other.conversation_id != asked.conversation_id


def test_a_signed_address_joins_a_forged_one_does_not(inbox, arrive, relay):
    Inbox.objects.update(settings={"plus_address": True})
    inbox.refresh_from_db()
    (asked,) = arrive(mail())
    reply(asked, "好的")
    deliver(inbox)
    signed = str(relay.mails[0]["Reply-To"])

    joined = arrive(mail("x", From="other@home.example", To=signed, Message_ID="<2@x>"))[-1]
    forged = signed.replace("@", "0@")
    other = arrive(mail("y", From="third@home.example", To=forged, Message_ID="<3@x>"))[-1]

    assert joined.conversation_id == asked.conversation_id
    assert other.conversation_id != asked.conversation_id


# Loops ----------------------------------------------------------------------------------------


def test_a_machine_is_not_answered_by_a_machine_but_by_people(inbox, arrive, relay):
    (asked,) = arrive(mail(List_Id="<news.example>"))
    assert asked.meta["automatic"] is True
    conversation = Conversation.objects.get(pk=asked.conversation_id)
    said = conversations.post_reply(
        conversation, author=BOT, text="您好", lease=conversation.lease, now=timezone.now()
    )

    deliver(inbox)
    assert (fresh(said).status, fresh(said).provider_code) == ("failed", "loop")
    assert relay.mails == []

    reply(asked, "我是人")
    deliver(inbox)
    assert [one["Auto-Submitted"] for one in relay.mails] == [None]


def test_answers_of_machines_say_so_and_end_after_some(inbox, arrive, relay, monkeypatch):
    monkeypatch.setattr("channels_adapters.email.adapter.AUTOMATIC_A_DAY", 1)
    (asked,) = arrive(mail(Cc="boss@example.net"))
    conversation = Conversation.objects.get(pk=asked.conversation_id)
    for text in ("一", "二"):
        conversations.post_reply(
            conversation, author=BOT, text=text, lease=conversation.lease, now=timezone.now()
        )

    deliver(inbox)
    deliver_later(inbox)

    assert [one["Auto-Submitted"] for one in relay.mails] == ["auto-replied"]
    assert relay.recipients == [["zhang.san@example.net"]]  # nobody else gets a machine's mail
    assert list(Delivery.objects.order_by("pk").values_list("status", flat=True)) == [
        "sent",
        "failed",
    ]


def test_a_holiday_note_is_a_note(inbox, arrive):
    (asked,) = arrive(mail())

    messages = arrive(mail("休假中", Auto_Submitted="auto-replied", Message_ID="<2@x>"))

    assert messages == [asked]
    note = Message.objects.get(kind=Message.Kind.NOTE)
    assert (note.conversation_id, "休假中" in note.text) == (asked.conversation_id, True)


def test_our_own_mail_is_an_echo(arrive):
    assert arrive(mail(From="help+c1.x@shop.example")) == []
    assert Envelope.objects.get().payload["kind"] == "echo"


def test_a_form_that_writes_in_our_name_is_for_people(arrive):
    form = mail("订单在哪", From="help@shop.example", Reply_To="Li@b.example")

    (asked,) = arrive(form)

    assert (asked.identity.external_id, asked.meta["automatic"]) == ("li@b.example", True)


def test_where_the_next_mail_begins_is_found_where_the_server_does_not_say(inbox, imap):
    imap.put(inbox.key, mail())
    with opened(servers.read(imap.url(inbox.key), credential="imap_url")) as folder:
        told = folder.next_uid
        folder._next_uid = None

        assert (folder.next_uid, told) == (2, 2)


def test_a_mail_without_a_sender_is_kept(arrive):
    assert arrive(mail(From="")) == []
    assert Envelope.objects.get().payload["kind"] == "unaddressed"


# What may go wrong ----------------------------------------------------------------------------


def bounce(of: str) -> bytes:
    return (
        "From: MAILER-DAEMON@relay.example\nTo: help@shop.example\nMessage-ID: <b@relay>\n"
        "MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nsorry\n"
        "--b\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; relay.example\n\n"
        "Final-Recipient: rfc822; zhang.san@example.net\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 no such user\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {of}\n\n--b--\n"
    ).encode()


def test_what_bounces_has_failed(inbox, arrive, relay):
    (asked,) = arrive(mail())
    answer = reply(asked, "好的")
    deliver(inbox)

    messages = arrive(bounce(str(relay.mails[0]["Message-ID"])))

    assert messages == [asked]
    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", "5.1.1")
    assert fresh(answer).provider_detail == "zhang.san@example.net: 550 no such user"


def test_a_relay_that_says_later_is_asked_again(inbox, arrive, relay):
    (asked,) = arrive(mail())
    answer = reply(asked, "好的")
    relay.will("451 4.7.1 greylisted", "250 OK")

    deliver(inbox)
    waiting = Delivery.objects.get()
    assert waiting.status == "waiting"
    assert (waiting.next_at - timezone.now()).total_seconds() > 250
    deliver_later(inbox)

    assert fresh(answer).status == "sent"
    assert len(relay.mails) == 1


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [("554 5.7.1 spam", "failed", "554"), (None, "failed", "unknown")],
)
def test_a_relay_that_refuses_or_breaks_off(inbox, arrive, relay, said, status, code):
    (asked,) = arrive(mail())
    answer = reply(asked, "好的")
    relay.will(said)

    deliver(inbox)

    assert (fresh(answer).status, fresh(answer).provider_code) == (status, code)


def test_a_recipient_that_is_unknown_is_final(inbox, arrive, relay):
    (asked,) = arrive(mail())
    relay.refuses["zhang.san@example.net"] = "550 5.1.1 unknown"
    answer = reply(asked, "好的")

    deliver(inbox)

    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", "550")


def test_a_wrong_password_is_told_and_tried_less_often(inbox, arrive, imap, relay, caplog):
    (asked,) = arrive(mail())
    inbox.credentials["imap_url"] = imap.url(inbox.key, "wrong-one")
    inbox.credentials["smtp_url"] = relay.url("wrong-one")
    inbox.save()
    answer = reply(asked, "好的")

    assert fetch(inbox) == 0
    deliver(inbox)

    mailbox = Mailbox.objects.get()
    assert mailbox.error.startswith("login")
    assert mailbox.next_at > timezone.now()
    held = Delivery.objects.get(message=answer)
    assert (held.status, held.code, fresh(answer).status) == ("waiting", "535", "pending")
    assert "wrong-one" not in caplog.text + mailbox.error + held.detail


def test_a_private_server_that_nobody_allowed_is_not_connected_to(inbox, arrive, settings):
    (asked,) = arrive(mail())
    answer = reply(asked, "好的")
    settings.OUTBOUND_ALLOW = []

    assert fetch(inbox) == 0
    deliver(inbox)

    assert Mailbox.objects.get().error.startswith("refused")
    assert fresh(answer).provider_code == "refused"


def test_a_mail_that_cannot_be_read_holds_up_no_other(inbox, arrive, monkeypatch):
    read = mailboxes.mime.read

    def stumble(content: bytes, **values: Any) -> Any:
        if b"<bad@x>" in content:
            raise RecursionError
        return read(content, **values)

    monkeypatch.setattr(mailboxes.mime, "read", stumble)

    messages = arrive(mail(Message_ID="<bad@x>"), mail(Message_ID="<good@x>"))

    assert len(messages) == 1
    unread = Envelope.objects.get(kind=Envelope.Kind.UNREAD)
    assert (unread.status, unread.error.startswith("RecursionError")) == ("failed", True)
    monkeypatch.undo()
    assert inbound.replay(unread, now=timezone.now())
    assert len(take_in()) == 2
