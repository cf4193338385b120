"""Shadows beside hand-offs, the table of a shadow, and its share in steps."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from ai_gateway import subscribers, tasks
from ai_gateway.models import Shadow, ShadowAnswer
from ai_gateway.services import shadow_reports, shadows
from tests.ai_gateway.test_answering import ask
from tests.ai_gateway.test_copilot import fake, fake_backend  # noqa: F401
from tests.ai_gateway.test_shadow import client_of, shadow, spoken, unhurried  # noqa: F401
from tests.api.conftest import Caller
from tickets.events import ConversationHandedOff, HandoffReason
from tickets.models import Conversation, Inbox
from tickets.services import api_keys

pytestmark = pytest.mark.django_db


def failed(inbox: Inbox) -> Conversation:
    """The bot's endpoint failed, and people got the question."""
    conversation, message = ask(inbox)
    tasks.answer_messages([message.pk])
    conversation.refresh_from_db()
    assert conversation.status == "queued"
    return conversation


def report(row: Shadow) -> dict[str, shadow_reports.Row]:
    since = timezone.now() - timezone.timedelta(days=1)
    return {one.live_endpoint: one for one in shadow_reports.report(row, since)}


def test_where_nobody_answered_the_candidate_is_asked(web_inbox: Inbox) -> None:
    fake(fail="quota")
    fake("candidate", default=False, say="下单时可选开票。")
    row = shadow()
    conversation = failed(web_inbox)

    tasks.ask_shadows_of_handoff(conversation.pk)
    tasks.ask_shadows_of_handoff(conversation.pk)

    answer = ShadowAnswer.objects.get()
    assert (answer.handed_off, answer.live_endpoint, answer.live_attempt) == (True, "main", None)
    assert (answer.text, answer.live_text, answer.similarity) == ("下单时可选开票。", "", None)
    told = report(row)["main"]
    assert (told.calls, told.handed_off, told.avoidable) == (1, 1, 1)
    assert (told.avoidable_share, told.live_ms) == (1.0, None)


@pytest.mark.parametrize(
    "options", [{"wants_handoff": True}, {"fail": "upstream"}, {"say": "好", "confidence": 0.5}]
)
def test_what_the_candidate_would_not_have_answered_is_not_avoidable(
    web_inbox: Inbox, options: dict[str, Any]
) -> None:
    fake(fail="quota")
    fake("candidate", default=False, **options)
    row = shadow()
    tasks.ask_shadows_of_handoff(failed(web_inbox).pk)

    told = report(row)["main"]

    assert (told.handed_off, told.avoidable) == (1, 0)


def test_an_answer_that_people_voted_down_is_not_avoidable(web_inbox: Inbox) -> None:
    fake(fail="quota")
    fake("candidate", default=False, say="好", confidence=0.9)
    row = shadow()
    tasks.ask_shadows_of_handoff(failed(web_inbox).pk)
    assert report(row)["main"].avoidable == 1

    shadows.vote(ShadowAnswer.objects.get(), False)

    assert report(row)["main"].avoidable == 0


def test_a_reply_that_hands_off_is_compared_once_and_marked(web_inbox: Inbox) -> None:
    fake(say="请稍等", wants_handoff=True)
    fake("candidate", default=False, say="可以开票。")
    shadow()
    conversation, reply = spoken(web_inbox)

    tasks.ask_shadows(reply.pk)
    tasks.ask_shadows_of_handoff(conversation.pk)

    answer = ShadowAnswer.objects.get()
    assert (answer.handed_off, answer.live_text) == (True, "请稍等")
    assert answer.live_attempt is not None


def test_only_hand_offs_that_may_be_avoided_are_queued(
    web_inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[int] = []
    task = tasks.ask_shadows_of_handoff
    monkeypatch.setattr(task, "apply_async", lambda args, **_options: queued.extend(args))
    shadows._any_enabled.clear()
    subscribers.shadow_handoff(ConversationHandedOff(1, HandoffReason.MISSES))
    fake("candidate", default=False)
    shadow()
    shadows._any_enabled.clear()

    for number, reason in enumerate(HandoffReason):
        subscribers.shadow_handoff(ConversationHandedOff(number, reason))

    wanted = {HandoffReason.MISSES, HandoffReason.BOT_ASKED, HandoffReason.BOT_FAILED}
    assert queued == [n for n, reason in enumerate(HandoffReason) if reason in wanted]
    shadows._any_enabled.clear()


def test_a_conversation_that_is_gone_or_was_not_handed_off(web_inbox: Inbox) -> None:
    conversation, _message = ask(web_inbox)
    shadow()

    tasks.ask_shadows_of_handoff(conversation.pk)
    tasks.ask_shadows_of_handoff(999_999)

    assert not ShadowAnswer.objects.exists()


def test_steps() -> None:
    shares, share = [], 0.0
    while step := shadows.step_up(share):
        shares.append(share := step)

    assert shares == [0.01, 0.05, 0.1, 0.25, 0.5, 1.0]
    assert (shadows.step_up(0.3), shadows.step_down(0.3)) == (0.5, 0.25)
    assert shadows.step_down(0.01) is None


def test_the_share_is_raised_in_steps_and_recorded(web_inbox: Inbox) -> None:
    fake(fail="quota")
    fake("candidate", default=False, say="可以")
    row = shadow(share=1.0)
    tasks.ask_shadows_of_handoff(failed(web_inbox).pk)
    Shadow.objects.update(share=0.1)
    where, office = f"/admin/ai_gateway/shadow/{row.pk}/report/", client_of("admin")

    page = office.get(where).content.decode()
    raised = office.post(where, {"step": "up"})
    row.refresh_from_db()
    up = row.share
    for _ in range(2):
        office.post(where, {"step": "down"})
    row.refresh_from_db()

    assert "升到 25%" in page
    assert "1 (100%)" in page
    assert (raised.status_code, up, row.share) == (302, 0.25, 0.05)
    assert LogEntry.objects.filter(object_id=row.pk).count() == 3
    assert office.get(f"{where}?days=30").status_code == 200
    assert office.post(where, {"step": "sideways"}).status_code == 400
    assert office.get("/admin/ai_gateway/shadow/999999/report/").status_code == 404


def test_auditors_look_and_do_not_step(db: None) -> None:
    row = shadow(share=0.1)
    where = f"/admin/ai_gateway/shadow/{row.pk}/report/"
    auditor = client_of("auditor")

    assert "step" not in auditor.get(where).content.decode().partition("ai-box")[2]
    assert auditor.post(where, {"step": "up"}).status_code == 403
    assert Client().post(where, {"step": "up"})["Location"].startswith("/admin/login/")
    row.refresh_from_db()
    assert row.share == 0.1


def test_the_report_over_rest(web_inbox: Inbox) -> None:
    fake(say="好的")
    fake("candidate", default=False, say="好的")
    shadow(name="beside")
    _, reply = spoken(web_inbox)
    tasks.ask_shadows(reply.pk)
    api = Caller(api_keys.create(name="t", scopes=["read"])[1])

    told = api.get("ai/shadows/beside/report/").json()

    assert (told["share"], told["next_share"]) == (1.0, None)
    (row,) = told["rows"]
    assert (row["live_endpoint"], row["calls"], row["similarity"]) == ("main", 1, 1.0)
    assert (row["handed_off"], row["avoidable"]) == (0, 0)
    assert api.get("ai/shadows/beside/report/?days=0").status_code == 400
    assert api.get("ai/shadows/nobody/report/").status_code == 404
