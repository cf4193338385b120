"""`ai/intents/`, `ai/articles/`, `ai/sensitive-lists/`, `ai/shadows/`, and the same as files."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ai_gateway import knowledge
from ai_gateway.models import Article, Endpoint, Intent, SensitiveList, Shadow
from tests import factories
from tests.api.conftest import Caller
from tickets.models import Inbox, Message, Team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def endpoints(db: None) -> None:
    for slug in ("main", "refund"):
        Endpoint.objects.create(slug=slug, backend="openai")


INTENT = {"key": "lens", "name": "镜片", "examples": ["镜片划了", "镜片坏了"]}
ARTICLE = {"title": "退货", "body": "# 退货\n\n七天内可以退货。"}
WORDS = {"name": "辱骂", "words": [" 傻瓜", "笨蛋", "傻瓜"]}
SHADOW = {"name": "试新", "candidate": "refund", "daily_calls": 50}


def test_an_intent_lives(api: Caller, team: Team) -> None:
    body = {**INTENT, "priority": "high", "team": team.slug, "labels": ["售后"]}
    made = api.post("ai/intents/", body)

    assert made.status_code == 201
    assert {name: made.json()[name] for name in body} == body
    assert Intent.objects.get(key="lens").priority == 3
    changed = api.patch("ai/intents/lens/", {"priority": None, "team": None, "enabled": False})
    assert changed.json() == {
        **made.json(), "priority": None, "team": None, "enabled": False,
        "updated_at": changed.json()["updated_at"],
    }  # fmt: skip
    assert api.get("ai/intents/").json()["results"][0] == changed.json()
    assert api.delete("ai/intents/lens/").status_code == 204
    assert api.get("ai/intents/lens/").status_code == 404


def test_an_article_lives_and_is_found(api: Caller, web_inbox: Inbox) -> None:
    made = api.post("ai/articles/", {**ARTICLE, "inbox": web_inbox.key})
    where = f"ai/articles/{made.json()['id']}/"

    assert (made.status_code, made.json()["language"]) == (201, "zh")
    assert knowledge.search("退货几天", inbox_id=web_inbox.pk)[0].title == "退货 > 退货"
    changed = api.patch(where, {"body": "十五天内可以换货。", "inbox": None}).json()
    assert (changed["body"], changed["inbox"]) == ("十五天内可以换货。", None)
    assert "换货" in knowledge.search("换货", inbox_id=None)[0].text
    (listed,) = api.get("ai/articles/").json()["results"]
    assert listed == {name: value for name, value in changed.items() if name != "body"}
    assert api.get(where).json() == changed
    assert api.delete(where).status_code == 204
    assert knowledge.search("换货", inbox_id=None) == []


def test_a_list_of_words_lives(api: Caller) -> None:
    made = api.post("ai/sensitive-lists/", WORDS)

    assert (made.status_code, made.json()["words"]) == (201, ["傻瓜", "笨蛋"])
    assert (made.json()["action"], made.json()["direction"]) == ("mask", "both")
    where = "ai/sensitive-lists/%E8%BE%B1%E9%AA%82/"
    assert api.patch(where, {"action": "block"}).json()["action"] == "block"
    assert api.post("ai/sensitive-lists/", WORDS).status_code == 400
    assert api.delete(where).status_code == 204
    assert not SensitiveList.objects.exists()


def test_a_shadow_lives(api: Caller, web_inbox: Inbox) -> None:
    made = api.post("ai/shadows/", {**SHADOW, "inbox": web_inbox.key, "live_endpoint": "main"})

    assert (made.status_code, made.json()["share"], made.json()["inbox"]) == (
        201, 0.1, web_inbox.key,
    )  # fmt: skip
    where = "ai/shadows/%E8%AF%95%E6%96%B0/"
    assert api.patch(where, {"share": 0.5, "inbox": None}).json()["share"] == 0.5
    assert api.patch(where, {"candidate": "main"}).json()["errors"][0]["attr"] == "candidate"
    assert api.get("ai/shadows/").json()["results"][0]["share"] == 0.5
    assert api.delete(where).status_code == 204
    assert not Shadow.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "attr"),
    [
        ("intents", {**INTENT, "key": "Lens!"}, "key"),
        ("intents", {**INTENT, "key": "payment_issue"}, "key"),
        ("intents", {**INTENT, "examples": []}, "examples"),
        ("intents", {**INTENT, "team": "nobody"}, "team"),
        ("intents", {**INTENT, "priority": "top"}, "priority"),
        ("articles", {**ARTICLE, "body": "长" * 200_001}, "body"),
        ("articles", {**ARTICLE, "inbox": "nobody"}, "inbox"),
        ("articles", {**ARTICLE, "source_url": "javascript:alert(1)"}, "source_url"),
        ("articles", {**ARTICLE, "language": "fr"}, "language"),
        ("sensitive-lists", {**WORDS, "words": ["长" * 61]}, "words.0"),
        ("sensitive-lists", {**WORDS, "words": []}, "words"),
        ("sensitive-lists", {**WORDS, "action": "kill"}, "action"),
        ("shadows", {**SHADOW, "candidate": "nobody"}, "candidate"),
        ("shadows", {**SHADOW, "candidate": "rules"}, "candidate"),
        ("shadows", {**SHADOW, "live_endpoint": "nobody"}, "live_endpoint"),
        ("shadows", {**SHADOW, "live_endpoint": "refund"}, "candidate"),
        ("shadows", {**SHADOW, "share": 1.5}, "share"),
        ("shadows", {**SHADOW, "daily_calls": 0}, "daily_calls"),
        ("shadows", {**SHADOW, "speed": 1}, "speed"),
    ],
)
def test_what_cannot_work_is_named(api: Caller, path: str, body: Any, attr: str) -> None:
    Intent.objects.get_or_create(key="payment_issue", defaults={"name": "支付", "examples": ["付"]})

    answer = api.post(f"ai/{path}/", body)

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "x"])
def test_an_article_that_is_not_there(api: Caller, number: str) -> None:
    assert api.get(f"ai/articles/{number}/").status_code == 404


@pytest.mark.parametrize("path", ["intents", "articles", "sensitive-lists", "shadows"])
def test_a_page_costs_the_same_however_long_it_is(
    api: Caller, path: str, web_inbox: Inbox, team: Team, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        Intent.objects.create(key=f"i{number}", name="x", examples=["x"], team=team)
        Article.objects.create(title=f"{number}", body="x", inbox=web_inbox)
        SensitiveList.objects.create(name=f"{number}", words=["x"])
        Shadow.objects.create(name=f"{number}", candidate="main", daily_calls=1, inbox=web_inbox)
    api.get(f"ai/{path}/")

    with django_assert_max_num_queries(3):
        assert len(api.get(f"ai/{path}/?limit=5").json()["results"]) == 5


# Drafts of routing rules ----------------------------------------------------------------------

DRAFT = [{"name": "退货", "regex": "退货", "endpoint": "refund"}]


def test_a_text_is_tried_on_a_draft(api: Caller) -> None:
    def simulate(text: str) -> Any:
        return api.post("ai/routing-rules/simulate/", {"text": text, "draft": DRAFT}).json()

    moved, same = simulate("我要退货"), simulate("你好")

    assert (moved["rule"], moved["endpoints"]) == (None, ["rules"])
    assert (moved["draft"]["rule"], moved["changed"]) == ("退货", True)
    assert same["changed"] is False
    assert api.get("ai/routing-rules/").json()["results"] == []


def test_a_draft_is_compared_with_what_was_said(api: Caller, web_inbox: Inbox) -> None:
    identity = factories.identity(web_inbox)
    for text in ("我要退货", "你好"):
        factories.say(identity, text)
    said = Message.objects.order_by("pk")[0].created_at
    since, until = f"{said:%Y-%m-%dT00:00:00Z}", f"{said:%Y-%m-%dT23:59:59Z}"

    body = {"draft": DRAFT, "since": since, "until": until}
    told = api.post("ai/routing-rules/compare/", body).json()
    of_yesterday = api.post("ai/routing-rules/compare/", {"draft": DRAFT}).json()

    assert told["looked_at"] == 2
    (change,) = told["changes"]
    assert (change["text"], change["now"]["rule"], change["draft"]["rule"]) == (
        "我要退货", None, "退货",
    )  # fmt: skip
    assert of_yesterday == {"looked_at": 0, "changes": []}


def test_a_draft_that_cannot_work_is_told_by_entry(api: Caller) -> None:
    draft = [*DRAFT, {"regex": "(", "endpoint": "nobody"}]

    for path, more in (("simulate", {"text": "x"}), ("compare", {})):
        answer = api.post(f"ai/routing-rules/{path}/", {"draft": draft, **more})
        assert answer.status_code == 400
        (error, *_rest) = answer.json()["errors"]
        assert error["attr"].startswith("draft")
        assert "2" in error["detail"]


# Files ----------------------------------------------------------------------------------------

FILE = """\
articles:
  - title: 退货
    body: |
      七天内可以退货。
    source_url: https://example.com/1
  - {title: 退货, body: 门店当面退, inbox: shop}
sensitive_lists:
  - {name: 辱骂, action: block, direction: out, words: [傻瓜, 傻瓜]}
shadows:
  - {name: 试新, live_endpoint: main, candidate: refund, daily_calls: 9, share: 0.25}
"""


def load(tmp_path: Path, text: str) -> str:
    path = tmp_path / "kefu.yaml"
    path.write_text(text)
    out = StringIO()
    call_command("import_config", str(path), stdout=out)
    return out.getvalue()


def exported() -> str:
    out = StringIO()
    call_command("export_config", stdout=out)
    return out.getvalue()


def test_files_hold_the_same(tmp_path: Path) -> None:
    factories.inbox("web", key="shop")
    told = load(tmp_path, FILE)
    assert "+ articles 退货 (shop)" in told
    assert Article.objects.get(inbox=None).chunks.count() == 1
    assert SensitiveList.objects.get().words == ["傻瓜"]
    assert (Shadow.objects.get().share, Shadow.objects.get().candidate) == (0.25, "refund")
    whole = exported()
    assert "+" not in load(tmp_path, FILE)

    for model in (Article, SensitiveList, Shadow):
        model.objects.all().delete()
    load(tmp_path, whole)

    assert exported() == whole


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("shadows:\n  - {name: a, candidate: nobody, daily_calls: 1}", 2),
        ("shadows:\n  - {name: a, candidate: main, live_endpoint: main, daily_calls: 1}", 2),
        ("sensitive_lists:\n  - name: a\n    action: kill\n", 3),
        ("articles:\n  - {title: a, body: b}\n  - {title: a, body: c}", 3),
        ("articles:\n  - title: a\n    inbox: nobody\n", 3),
        ("articles:\n  - {title: a}", 2),
    ],
)
def test_a_wrong_file_is_told_by_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(CommandError, match=rf":{line}:"):
        load(tmp_path, text)
