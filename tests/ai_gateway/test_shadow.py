"""Shadows: asked beside the answer, heard by nobody, within their share and budget."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ai_gateway import health, recent, shadowing, subscribers, tasks
from ai_gateway.models import Attempt, DegradePolicy, Endpoint, SensitiveList, Shadow, ShadowAnswer
from ai_gateway.services import shadows
from ai_gateway.similarity import similarity
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask, log_of, status_of
from tests.ai_gateway.test_copilot import fake, fake_backend  # noqa: F401
from tests.fakes.openai_server import DONE, FakeOpenAI, event, say, stream
from tickets.events import ReplyPosted
from tickets.models import Conversation, Inbox, Message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unhurried(fake_backend: None, settings: Any) -> None:  # noqa: F811
    """A busy machine is not what these are about."""
    settings.AI_FIRST_TEXT_S = 20.0


def shadow(name: str = "试新模型", **values: Any) -> Shadow:
    values = {"candidate": "candidate", "share": 1.0, "daily_calls": 100, **values}
    return Shadow.objects.create(name=name, **values)


def spoken(inbox: Inbox, text: str = "可以开发票吗") -> tuple[Conversation, Message]:
    """(conversation, the bot's reply)"""
    conversation, message = ask(inbox, text)
    tasks.answer_messages([message.pk])
    return conversation, conversation.messages.get(kind="outgoing")


def test_the_candidate_is_asked_the_same_and_nobody_sees_it(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    prices = {"price": {"prompt": 1e6, "completion": 1e6}}
    make_endpoint(server, "candidate", options=prices, model="m-2")
    shadow()
    used = b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}\n\n'
    beside = stream(event("能开发票。"), event(finish="stop"), used, DONE)
    server.will(say("可以开发票。"), beside)

    conversation, reply = spoken(web_inbox)
    before = log_of(conversation)
    tasks.ask_shadows(reply.pk)

    row = ShadowAnswer.objects.get()
    assert (row.live_text, row.text, row.error_kind) == ("可以开发票。", "能开发票。", "")
    assert (row.live_endpoint, row.live_attempt) == ("main", Attempt.objects.get())
    assert row.message == reply.reply_to
    assert row.similarity == pytest.approx(2 * 3 / (5 + 4))
    assert row.usage == {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    assert (row.cost, row.live_cost) == (12.0, 0.0)
    assert 0 <= (row.first_text_ms or 0) <= (row.latency_ms or 0)
    assert log_of(conversation) == before
    live, shadowed = (request.body for request in server.requests)
    assert live["messages"] == shadowed["messages"]
    assert shadowed["model"] == "m-2"


def test_a_message_is_put_to_a_candidate_once(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False)
    shadow()
    _, reply = spoken(web_inbox)

    tasks.ask_shadows(reply.pk)
    tasks.ask_shadows(reply.pk)

    assert ShadowAnswer.objects.count() == 1


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"fail": "upstream"}, "upstream"),
        ({"crash": True}, "bad_response"),
        ({"after_s": 60}, "timeout"),
        ({"break_after": 3, "say": "答到一半"}, "interrupted"),
        ({"say": "   "}, "bad_response"),
        ({"say": "骂人的话"}, "blocked"),
    ],
)
def test_whatever_a_candidate_does_changes_nothing_visible(
    web_inbox: Inbox, options: dict[str, Any], kind: str
) -> None:
    SensitiveList.objects.create(name="脏话", action="block", direction="out", words=["骂人"])
    recent.forget()
    fake(say="好的。")
    fake("candidate", default=False, **options)
    Endpoint.objects.filter(slug="candidate").update(timeout_s=1)
    shadow()
    conversation, reply = spoken(web_inbox)
    calls, health = Attempt.objects.count(), Endpoint.objects.get(slug="candidate").health

    tasks.ask_shadows(reply.pk)

    row = ShadowAnswer.objects.get()
    assert (row.error_kind, row.similarity) == (kind, None)
    assert log_of(conversation)[1:] == [("outgoing", "好的。")]
    assert status_of(conversation) == "bot"
    assert Attempt.objects.count() == calls
    assert Endpoint.objects.get(slug="candidate").health == health


def test_scripts_and_nul_are_kept_as_words(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, admin_page: Client
) -> None:
    make_endpoint(server, "candidate")
    shadow()
    server.will(say("好的。"), say("看\0<script>alert(1)</script>1 < 2 & <b>看</b>"))
    _, reply = spoken(web_inbox)

    tasks.ask_shadows(reply.pk)
    page = admin_page.get("/admin/ai_gateway/shadowanswer/").content.decode()

    assert ShadowAnswer.objects.get().text.startswith("看")
    assert "<script>alert(1)" not in page
    assert "1 &lt; 2 &amp;" in page


def test_a_candidate_that_hangs_delays_no_answer(web_inbox: Inbox) -> None:
    fake(say="好的。")
    fake("candidate", default=False, after_s=30)
    shadow()

    started = time.monotonic()
    _, reply = spoken(web_inbox)

    assert time.monotonic() - started < 5
    assert reply.text == "好的。"
    assert not ShadowAnswer.objects.exists()


def test_personal_data_is_masked_for_the_candidate_too(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    make_endpoint(server, "candidate", mask_personal_data=True)
    shadow()
    _, reply = spoken(web_inbox, "我的手机是13812345678")

    tasks.ask_shadows(reply.pk)

    assert len(server.requests) == 2
    assert "13812345678" not in str(server.requests[-1].body)


def test_the_candidates_calls_count_on_no_meter(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False)
    DegradePolicy.objects.create(name="慢慢来", endpoint="candidate", max_qps=0.000001)
    shadow()
    _, reply = spoken(web_inbox)

    tasks.ask_shadows(reply.pk)

    assert ShadowAnswer.objects.get().error_kind == ""
    (state,) = health.states(["candidate"])
    assert (state.qps, state.in_flight, state.tokens_today) == (0, 0, 0)


def test_the_budget_of_the_day_cuts_off_and_comes_back(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False, fail="upstream")
    one = shadow(daily_calls=2)
    replies = [spoken(web_inbox)[1] for _ in range(3)]
    noon = datetime.now(UTC).replace(hour=4, minute=0)  # noon in Shanghai, midday elsewhere

    claimed = [len(shadows.claim(reply.pk, now=noon)) for reply in replies]

    assert claimed == [1, 1, 0]
    assert len(shadows.claim(replies[2].pk, now=noon + timedelta(days=1))) == 1
    assert shadows.calls_today(one, noon + timedelta(days=1)) == 1


def test_a_share_is_drawn_by_the_question(web_inbox: Inbox) -> None:
    fake()
    _, reply = spoken(web_inbox)
    some = [Message(public_id=f"00000000-0000-0000-0000-{n:012d}") for n in range(2000)]
    tenth = Shadow(pk=7, share=0.1)

    drawn = [message for message in some if shadows.is_drawn(tenth, message)]

    assert 140 < len(drawn) < 260
    assert drawn == [message for message in some if shadows.is_drawn(tenth, message)]
    assert reply.reply_to is not None
    assert not shadows.is_drawn(Shadow(pk=7, share=0.0), reply.reply_to)
    assert shadows.is_drawn(Shadow(pk=7, share=1.0), reply.reply_to)


@pytest.mark.parametrize(
    "values",
    [
        {"enabled": False},
        {"share": 0.0},
        {"live_endpoint": "another"},
        {"candidate": "main"},
        {"candidate": "nobody"},
        {"candidate": "switched-off"},
    ],
)
def test_who_is_not_meant_is_not_asked(web_inbox: Inbox, values: dict[str, Any]) -> None:
    fake()
    fake("candidate", default=False)
    fake("switched-off", default=False)
    Endpoint.objects.filter(slug="switched-off").update(enabled=False)
    shadow(**values)
    _, reply = spoken(web_inbox)

    tasks.ask_shadows(reply.pk)

    assert not ShadowAnswer.objects.exists()


def test_another_inbox_is_left_alone(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False)
    shadow(inbox=factories.inbox("web", key="other"))
    _, reply = spoken(web_inbox)

    assert shadows.claim(reply.pk, now=timezone.now()) == []


def test_where_the_rules_spoke_there_is_nothing_to_compare(web_inbox: Inbox) -> None:
    fake("candidate", default=False)
    shadow()
    conversation, message = ask(web_inbox)
    tasks.answer_messages([message.pk])

    reply = conversation.messages.filter(kind="outgoing").first()

    assert reply is not None
    assert shadows.claim(reply.pk, now=timezone.now()) == []


async def test_what_finds_no_place_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing._places, "taken", shadowing.PLACES)

    await shadowing.go_along(1)  # would read the database, which this test may not

    assert shadowing._places.taken == shadowing.PLACES


def test_only_the_bots_replies_are_queued_and_only_where_a_shadow_is(
    web_inbox: Inbox, monkeypatch: pytest.MonkeyPatch, agent: Any
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(
        tasks.ask_shadows, "apply_async", lambda args, **_options: queued.extend(args)
    )
    fake()
    conversation, reply = spoken(web_inbox)
    posted = ReplyPosted(reply.pk, conversation.pk)
    shadows._any_enabled.clear()
    subscribers.shadow(posted)
    shadow()
    shadows._any_enabled.clear()

    subscribers.shadow(ReplyPosted(reply.pk, conversation.pk))
    asked = conversation.messages.get(kind="incoming")
    subscribers.shadow(ReplyPosted(asked.pk, conversation.pk))

    assert queued == [reply.pk]
    shadows._any_enabled.clear()


def test_the_answers_go_with_the_conversation(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False)
    shadow()
    conversation, reply = spoken(web_inbox)
    tasks.ask_shadows(reply.pk)

    conversation.attempts.all().delete()
    conversation.messages.all().delete()

    assert not ShadowAnswer.objects.exists()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("", "", 1.0),
        ("好", "好", 1.0),
        ("好的", "", 0.0),
        ("AB c", "abc", 1.0),
        ("甲乙", "丙丁", 0),
    ],
)
def test_likeness(one: str, other: str, alike: float) -> None:
    assert similarity(one, other) == similarity(other, one) == alike


# The pages ------------------------------------------------------------------------------------


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


@pytest.fixture
def admin_page(db: None) -> Client:
    return client_of("admin")


def compared(inbox: Inbox) -> ShadowAnswer:
    _, reply = spoken(inbox)
    tasks.ask_shadows(reply.pk)
    return ShadowAnswer.objects.latest("pk")


def test_the_table_compares_and_takes_votes(web_inbox: Inbox, admin_page: Client) -> None:
    fake(say="线上的话")
    fake("candidate", default=False, say="影子的话")
    shadow()
    row = compared(web_inbox)
    vote = f"/admin/ai_gateway/shadowanswer/{row.pk}/vote/"

    page = admin_page.get("/admin/ai_gateway/shadowanswer/").content.decode()
    votes = []
    for word in ("good", "bad", "none"):
        assert admin_page.post(f"{vote}{word}/").status_code == 302
        row.refresh_from_db()
        votes.append(row.vote)

    assert "线上的话" in page
    assert "影子的话" in page
    assert f"{vote}good/" in page
    assert votes == [True, False, None]
    assert admin_page.get(f"{vote}good/").status_code == 405
    assert admin_page.post(f"{vote}maybe/").status_code == 404
    assert admin_page.post("/admin/ai_gateway/shadowanswer/999999/vote/good/").status_code == 404


def test_auditors_look_and_do_not_vote(web_inbox: Inbox) -> None:
    fake()
    fake("candidate", default=False)
    shadow()
    row = compared(web_inbox)
    auditor, vote = client_of("auditor"), f"/admin/ai_gateway/shadowanswer/{row.pk}/vote/good/"

    assert "formaction" not in auditor.get("/admin/ai_gateway/shadowanswer/").content.decode()
    assert auditor.post(vote).status_code == 403
    assert client_of("agent").post(vote)["Location"].startswith("/admin/login/")
    assert Client().post(vote)["Location"].startswith("/admin/login/")


def test_the_list_of_shadows_has_totals_by_one_query(web_inbox: Inbox, admin_page: Client) -> None:
    fake(say="好的。")
    fake("candidate", default=False, say="好的。")
    shadow()
    shadows.vote(compared(web_inbox), True)
    compared(web_inbox)
    counts = []
    for more in ("另一个", "第三个"):
        with CaptureQueriesContext(connection) as queries:
            page = admin_page.get("/admin/ai_gateway/shadow/").content.decode()
        counts.append(len(queries))
        shadow(more)

    assert "2 (0)" in page
    assert "1 / 0" in page
    assert "100%" in page
    assert counts[0] >= counts[1]


def test_a_shadow_needs_a_budget_and_another_endpoint(admin_page: Client) -> None:
    fake()
    fake("candidate", default=False)
    url = "/admin/ai_gateway/shadow/add/"
    values = {"name": "试", "candidate": "candidate", "live_endpoint": "main", "share": "0.1"}

    without = admin_page.post(url, values)
    itself = admin_page.post(url, {**values, "live_endpoint": "candidate", "daily_calls": "9"})
    beyond = admin_page.post(url, {**values, "share": "1.5", "daily_calls": "0"})
    good = admin_page.post(url, {**values, "daily_calls": "9", "enabled": "on"})

    assert "daily_calls" in without.context["adminform"].form.errors
    assert "candidate" in itself.context["adminform"].form.errors
    assert {"share", "daily_calls"} <= set(beyond.context["adminform"].form.errors)
    assert good.status_code == 302
    assert Shadow.objects.get().daily_calls == 9
