"""Whatever an endpoint sends: the next one answers, and its card says what is wrong."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client
from django.utils import timezone, translation

from ai_gateway import health_words, tasks
from ai_gateway.errors import ErrorKind
from ai_gateway.models import Attempt, Endpoint, SensitiveList
from ai_gateway.services import sensitive_lists
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.fakes.openai_server import (
    DONE,
    FakeOpenAI,
    endless,
    event,
    fails,
    hang_up,
    html,
    respond,
    say,
    stream,
)
from tickets.models import Conversation, Inbox

pytestmark = pytest.mark.django_db
GOOD = "下单时选择开票即可。"
TEN_MB = b'{"choices": [{"message": {"content": "' + b"x" * 10_000_000 + b'"}}]}'


@pytest.fixture(autouse=True)
def second(server: FakeOpenAI, settings: Any) -> Any:
    """The endpoint that answers where `main` does not."""
    settings.AI_FIRST_TEXT_S = 20.0  # a busy machine is not what these are about
    with FakeOpenAI() as spare:
        spare.will(say(GOOD))
        make_endpoint(spare, "second", model="m-2")
        yield spare


def answered(inbox: Inbox) -> tuple[Conversation, str]:
    """(conversation, what the bot said)"""
    conversation = factories.conversation(
        factories.identity(inbox), text="可以开发票吗", now=timezone.now()
    )
    tasks.answer_messages([conversation.messages.get(seq=1).pk])
    conversation.refresh_from_db()
    return conversation, conversation.messages.get(kind="outgoing").text


def assert_the_second_answers(inbox: Inbox, kind: str, code: str = "") -> Endpoint:
    conversation, text = answered(inbox)
    assert (text, conversation.status) == (GOOD, "bot")
    first, last = Attempt.objects.order_by("pk")
    assert (first.endpoint, first.outcome, first.error_kind) == ("main", "failed", kind)
    assert (last.endpoint, last.outcome, last.reason) == ("second", "answered", "fallback")
    ill = Endpoint.objects.get(slug="main")
    assert (ill.health, ill.health_detail.split(" ")[0]) == ("failing", kind)
    assert code in ill.health_detail
    return ill


BAD = {
    "a page instead of JSON": (html(), "bad_response"),
    "a page of a proxy": (html(502), "bad_response"),
    "JSON of somebody else": (respond(b'{"hello": "world"}'), "bad_response"),
    "broken JSON": (respond(b'{"choices": [{'), "bad_response"),
    "ten megabytes": (respond(TEN_MB), "bad_response"),
    "a line without end": (endless(b"data: " + b"x" * 65_000), "bad_response"),
    "comments without end": (endless(b": " + b"x" * 65_000 + b"\n\n"), "bad_response"),
    "a wrong key": (fails(401, "invalid_api_key"), "auth"),
    "a wrong address": (fails(404), "not_configured"),
    "no money": (fails(429, "insufficient_quota"), "quota"),
    "hanging up": (hang_up(), "interrupted"),
    "nothing at all": (respond(b""), "interrupted"),
    "an end without its mark": (stream(b": hi\n\n"), "interrupted"),
    "an empty answer": (stream(event(finish="stop"), DONE), "bad_response"),
}


@pytest.mark.parametrize(("behaviour", "kind"), BAD.values(), ids=BAD)
def test_the_next_one_answers(
    web_inbox: Inbox, server: FakeOpenAI, behaviour: Any, kind: str
) -> None:
    make_endpoint(server, default=True, fallbacks=["second"])
    server.will(behaviour)

    assert_the_second_answers(web_inbox, kind)


# Transport ------------------------------------------------------------------------------------


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_that_nobody_signed(web_inbox: Inbox, self_signed: ssl.SSLContext) -> None:
    with FakeOpenAI(tls=self_signed) as server:
        make_endpoint(server, default=True, fallbacks=["second"])

        ill = assert_the_second_answers(web_inbox, "upstream", "tls")

        assert not server.requests
        assert "TLS" in health_words.state_of(ill)


@pytest.mark.parametrize(
    ("address", "kind", "code"),
    [
        ("http://nobody.invalid/v1", "upstream", "dns"),
        ("http://127.0.0.1:1/v1", "upstream", "connect"),
        ("http://10.1.2.3/v1", "not_configured", "address_refused"),
    ],
)
def test_an_address_where_nobody_is(
    web_inbox: Inbox, server: FakeOpenAI, address: str, kind: str, code: str
) -> None:
    make_endpoint(server, default=True, fallbacks=["second"], base_url=address)

    assert_the_second_answers(web_inbox, kind, code)


# What is odd, and an answer all the same ------------------------------------------------------


def test_bytes_that_are_no_utf_8_cost_a_character(web_inbox: Inbox, server: FakeOpenAI) -> None:
    make_endpoint(server, default=True, fallbacks=["second"])
    broken = event("可以开\x00票").replace(b"\\u0000", b"\xff\xc3")
    server.will(stream(broken, event(finish="stop"), DONE))

    _conversation, text = answered(web_inbox)

    assert text.startswith("可以开")
    assert text.endswith("票")
    assert "\ufffd" in text


def test_unknown_fields_are_let_pass(web_inbox: Inbox, server: FakeOpenAI) -> None:
    make_endpoint(server, default=True)
    odd = b'data: {"choices": [{"delta": {"content": "OK", "mood": 7}, "x": []}], "y": {}}\n\n'
    server.will(stream(odd, event(finish="stop"), DONE))

    assert answered(web_inbox)[1] == "OK"


def test_scripts_are_taken_out(web_inbox: Inbox, server: FakeOpenAI) -> None:
    make_endpoint(server, default=True)
    server.will(say('好<script>alert(1)</script><img src=x onerror="x()">的[点](javascript:x())'))

    _conversation, text = answered(web_inbox)

    assert not any(word in text for word in ("<", "script", "onerror", "javascript"))
    assert text.startswith("好")


def test_abuse_is_left_to_the_next_one(web_inbox: Inbox, server: FakeOpenAI) -> None:
    make_endpoint(server, default=True, fallbacks=["second"])
    row = SensitiveList(name="辱骂", action="block", direction="out", words=["傻瓜"])
    sensitive_lists.save(row)
    server.will(say("傻瓜。"))

    ill = assert_the_second_answers(web_inbox, "blocked", "辱骂")

    assert "敏感词" in health_words.state_of(ill)


# The card -------------------------------------------------------------------------------------


def test_it_is_well_again_with_its_next_answer(web_inbox: Inbox, server: FakeOpenAI) -> None:
    make_endpoint(server, default=True, fallbacks=["second"])
    server.will(html(), say("好的。"))
    answered(web_inbox)

    assert answered(web_inbox)[1] == "好的。"

    well = Endpoint.objects.get(slug="main")
    assert (well.health, health_words.state_of(well)) == ("ok", "正常")


def test_every_kind_that_can_stand_there_has_its_words() -> None:
    unsaid = set(ErrorKind) - set(health_words.KINDS)

    assert unsaid == {ErrorKind.CONTENT_FILTER}  # says nothing of the endpoint
    with translation.override("en"):
        row = Endpoint(health="failing", health_detail="auth 401")
        assert "(auth 401)" in health_words.state_of(row)


def test_the_pages_say_what_is_wrong(web_inbox: Inbox, server: FakeOpenAI) -> None:
    main = make_endpoint(server, default=True, fallbacks=["second"])
    server.will(html())
    answered(web_inbox)
    office = Client()
    office.force_login(factories.user(role="admin"))

    page = office.get(f"/admin/ai_gateway/endpoint/{main.pk}/change/").content.decode()
    live = office.get("/admin/ai_gateway/drill/live/state/").json()["endpoints"]

    assert "返回的不是 AI 的应答" in page
    assert ["返回的不是 AI 的应答" in row["ill"] for row in live] == [True, False]
