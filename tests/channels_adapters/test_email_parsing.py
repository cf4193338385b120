"""Mails as they come: charsets, quotations, HTML, machines, addresses. No server needed."""

from datetime import UTC, datetime
from email import message_from_string
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_adapters.email import automatic, composing, headers, html, mime, quoting, servers
from channels_adapters.email.automatic import Machine
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import Outbound
from tickets import inbox_fields

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def read(raw: str | bytes, max_file: int = 1024) -> mime.Mail:
    return mime.read(raw.encode() if isinstance(raw, str) else raw, max_file=max_file)


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("镕基".encode("gb18030"), "gb2312", "镕基"),
        ("支付".encode("gbk"), "GBK", "支付"),
        ("支付".encode(), "", "支付"),
        ("支付".encode("gb18030"), "us-ascii", "支付"),
        ("支付".encode(), "no-such-charset", "支付"),
        (b"\xff\xfe", "utf-8", "\ufffd\ufffd"),
        (b"abc", "base64", "abc"),  # a codec, but none of text
    ],
)
def test_charsets(content: bytes, charset: str, text: str):
    assert headers.decoded(content, charset) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("=?utf-8?B?6YCA5qy+?=", "退款"),
        ("Re: =?gb2312?B?zcu/7g==?= ok", "Re: 退款 ok"),
        ("=?utf-8?B?broken", "=?utf-8?B?broken"),
        ("=?utf-8?B?!!!?=", None),
        ("two\r\n lines\x00", "two lines"),
    ],
)
def test_words_of_headers(raw: str, text: str | None):
    assert text is None or headers.text_of(raw) == text
    assert "\n" not in headers.text_of(raw)


@pytest.mark.parametrize(
    ("body", "fresh"),
    [
        ("新\n\n在 2026年11月23日，Help 写道：\n> 旧", "新"),
        ("new\n\nOn Mon, 23 Nov 2026, Help wrote:\n> old\n> older", "new"),
        ("new\n\nOn Mon, 23 Nov 2026 at 10:00,\nHelp <h@x.example> wrote:\n> old", "new"),
        ("新\n\n------------------ 原始邮件 ------------------\n发件人: x\n旧", "新"),
        (
            "new\n________________________________\nFrom: H\nSent: M\nTo: x\nSubject: y\n\nold",
            "new",
        ),
        ("new\n> old\n", "new"),
        ("> question\nanswer\n> another\nyes", "> question\nanswer\n> another\nyes"),
        ("From: here to there\nit is far", "From: here to there\nit is far"),
        ("> all of it", "> all of it"),
        ("", ""),
    ],
)
def test_quotations(body: str, fresh: str):
    assert quoting.split(body)[0] == fresh


def test_a_long_body_is_split_in_a_blink():
    assert quoting.split("On " * 50_000 + "\n" * 50_000)[1] == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a<br>b", "a\nb"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<ul><li>a<li>b</ul>", "· a\n· b"),
        ("<table><tr><td>a<td>b</table>", "a b"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<a href='javascript:alert(1)'>x</a>", "x"),
        ("<a href='https://a.example'>https://a.example/</a>", "https://a.example/"),
        ("&lt;script&gt;", "<script>"),
        ("<blockquote>a<br>b</blockquote>", "> a\n> b"),
        ("<svg onload=alert(1)>x", ""),
    ],
)
def test_html(source: str, text: str):
    assert html.text_of(source) == text


def test_html_may_be_as_deep_as_it_likes():
    assert html.text_of("<div>" * 20_000 + "deep") == "deep"


@pytest.mark.parametrize(
    ("header", "machine"),
    [
        ("Auto-Submitted: no", Machine.NONE),
        ("Auto-Submitted: auto-replied; x", Machine.REPLY),
        ("Auto-Submitted: auto-generated", Machine.BULK),
        ("Precedence: list", Machine.BULK),
        ("List-Id: <x>", Machine.BULK),
        ("X-Auto-Response-Suppress: OOF", Machine.BULK),
        ("X-Auto-Response-Suppress: None", Machine.NONE),
        ("Return-Path: <>", Machine.REPLY),
        ("Return-Path: <a@b.example>", Machine.NONE),
    ],
)
def test_machines_by_their_headers(header: str, machine: Machine):
    assert read(f"From: a@b.example\n{header}\n\nx").machine == machine


@pytest.mark.parametrize(
    ("local", "machine"),
    [
        ("mailer-daemon", Machine.REPLY),
        ("postmaster", Machine.REPLY),
        ("no-reply", Machine.BULK),
        ("donotreply", Machine.BULK),
        ("noreply-orders", Machine.BULK),
        ("norepl", Machine.NONE),
        ("bouncer", Machine.NONE),
    ],
)
def test_machines_by_their_names(local: str, machine: Machine):
    assert automatic.sender_of(read_headers("Subject: x"), f"{local}@b.example") == machine


def read_headers(raw: str) -> headers.Headers:
    return headers.Headers(message_from_string(raw + "\n\n"))


def test_an_answer_goes_where_it_is_asked_for():
    mail = read("From: Form <form@shop.example>\nReply-To: Li <Li@b.example>\n\nx")

    assert (mail.from_address, mail.address) == ("form@shop.example", "li@b.example")


def test_a_mail_without_an_id_has_that_of_its_content():
    assert read("From: a@b\n\nx").message_id == read("From: a@b\n\nx").message_id
    assert read("From: a@b\n\nx").message_id != read("From: a@b\n\ny").message_id


def test_a_large_file_is_named_and_not_decoded():
    raw = (
        "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n"
        "Content-Type: application/pdf; name=big.pdf\nContent-Transfer-Encoding: base64\n\n"
        + "AAAA" * 2000
        + "\n--b--\n"
    )

    assert read(raw, max_file=1000).files == (mime.File("big.pdf", None),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: \xc4\xe3\xba\xc3 <a@b.example>\nSubject: \xc4\xe3\xba\xc3\n\n\xc4\xe3\xba\xc3",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b--",
        b"Content-Type: text/plain; charset*=x''y\n\nx",
        b"Content-Transfer-Encoding: base64\n\n!!!",
        b"Date: no day\nFrom: <>\nMessage-ID: \n\nx",
        b"Content-Type: multipart/report; report-type=delivery-status\n\nx",
        b"From: a@b.example, c@d.example\nReferences: <<>> <x y> >\n\n",
    ],
)
def test_whatever_comes_is_read(raw: bytes):
    assert isinstance(read(raw).text, str)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_stop_the_reader(noise: bytes):
    head = b"From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"

    assert read(noise).message_id
    assert read(head + noise + b"\n\n--b\n" + noise + b"\n--b--").message_id


def test_parts_may_lie_as_deep_as_they_like():
    raw = "From: a@b.example\n"
    for number in range(60):
        raw += f"Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n"

    assert read(raw + "\ndeep").text == "deep"


# Out ------------------------------------------------------------------------------------------


def compose(**context: object) -> EmailMessage:
    outbound = Outbound(to="a@b.example", key="k1-0", text="x", context=context)
    return composing.compose(outbound, address="help@s.example", inbox_id=1, reply_to="", now=NOW)


def test_nothing_of_theirs_becomes_a_header_of_ours():
    sent = compose(subject="x\r\nBcc: victim@x.example", message_id="<1@x>", cc=["a b", "\n"])

    assert sent["Subject"] == "Re: x Bcc: victim@x.example"
    assert (sent["Bcc"], sent["Cc"]) == (None, None)


def test_references_keep_the_first_and_the_last():
    ids = [f"<{number}@x>" for number in range(40)]

    sent = compose(message_id="<last@x>", references=ids)

    assert sent["References"].split() == ["<0@x>", *ids[-9:], "<last@x>"]


def test_a_long_id_is_not_encoded():
    long = f"<{'a' * 300}@x>"

    assert long.encode() in compose(message_id=long).as_bytes()


def test_the_id_of_a_part_is_its_own_for_ever():
    assert compose()["Message-ID"] == compose()["Message-ID"]
    assert composing.message_id(1, "k1-0", "x") != composing.message_id(2, "k1-0", "x")


@pytest.mark.parametrize("url", ["", "http://x", "imaps://", "imap://h:notaport", "x"])
def test_what_names_no_server(url: str):
    with pytest.raises(NotConfigured):
        servers.read(url, credential="imap_url")


def test_the_server_of_an_url():
    found = servers.read("imaps://a%40b:p%2Fw@mail.example/Kunden", credential="imap_url")

    assert (found.host, found.port, found.user, found.password, found.folder) == (
        "mail.example", 993, "a@b", "p/w", "Kunden",
    )  # fmt: skip
    assert "p/w" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("imap_url", "imaps://u:secret@1.1.1.1/INBOX", None),
        ("smtp_url", "smtp://u:secret@1.1.1.1:587", None),
        ("imap_url", "https://u:secret@1.1.1.1", "imaps://user:password@host:port"),
        ("smtp_url", "imaps://u:secret@1.1.1.1", "smtps://user:password@host:port"),
        ("smtp_url", "smtp://u:secret@127.0.0.1", "private address"),
        ("imap_url", "imap://u:secret@169.254.169.254", "never reached"),
        ("address", "help@shop.example", None),
        ("address", "secret", "an e-mail address is expected"),
    ],
)
def test_addresses_of_servers_are_checked_when_they_are_saved(name, value, wrong):
    found = inbox_fields.wrong_credential("email", name, value)

    assert (found is None) if wrong is None else wrong in found
    assert "secret" not in (found or "")
