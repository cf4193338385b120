"""Lists of what machines know and must not say: articles, sensitive words; and shadows."""

from collections.abc import Sequence
from typing import Any

from ai_gateway.models import Article, SensitiveList, Shadow
from ai_gateway.models.article import MOST_BODY
from ai_gateway.models.sensitive_list import LONGEST_WORD, MOST_WORDS
from ai_gateway.services import articles, sensitive_lists
from kefu.config import readers
from kefu.config.machines import require_endpoint
from kefu.config.reading import Problem
from kefu.config.spec import Entry, Spec, fixed
from tickets.models import Inbox
from tickets.services import configuration

_ARTICLE = ("title", "body", "category", "labels", "language")
_ARTICLE_REST = ("source_name", "source_url", "enabled")


def _apply_article(entry: Entry) -> None:
    """An article has no key: title and inbox together tell which it is."""
    title, inbox = entry.values["title"], entry.row(Inbox.objects.all(), "inbox", "key")
    same = list(Article.objects.filter(title=title, inbox=inbox)[:2])
    if len(same) > 1:
        what = f"title: several articles are called {title!r}"
        raise Problem(entry.line_of("title"), what, "give them different titles first")
    article = same[0] if same else Article(title=title, inbox=inbox)
    if not same:
        article.language = articles.language_of(entry.values.get("body", ""))
    for name, value in entry.take(*_ARTICLE, *_ARTICLE_REST).items():
        setattr(article, name, value)
    articles.save(article)


def _export_articles() -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(row, name) for name in _ARTICLE},
            "inbox": row.inbox.key if row.inbox else None,
            **{name: getattr(row, name) for name in _ARTICLE_REST},
        }
        for row in Article.objects.select_related("inbox").order_by("title", "pk")
    ]


ARTICLES = Spec(
    name="articles",
    key=lambda entry: f"{entry['title']} ({entry['inbox'] or '*'})",
    readers=fixed(
        title=readers.text(200, empty=False),
        body=readers.text(MOST_BODY, empty=False),
        category=readers.text(60),
        labels=readers.words(40),
        language=readers.choice(Article.Language.values),
        inbox=readers.optional(readers.slug),
        source_name=readers.text(200),
        source_url=readers.text(500),
        enabled=readers.flag,
    ),
    required=("title",),
    apply=_apply_article,
    export=_export_articles,
)

_LIST = ("action", "direction", "words", "enabled")


def _apply_list(entry: Entry) -> None:
    name = entry.values["name"]
    row = SensitiveList.objects.filter(name=name).first() or SensitiveList(name=name)
    values = entry.take(*_LIST)
    if "words" in values:
        values["words"] = sensitive_lists.tidied(values["words"])
    configuration.store(row, **values)


def _export_lists() -> list[dict[str, Any]]:
    rows = SensitiveList.objects.order_by("name")
    return [{"name": row.name, **{name: getattr(row, name) for name in _LIST}} for row in rows]


SENSITIVE_LISTS = Spec(
    name="sensitive_lists",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(80, empty=False),
        action=readers.choice(SensitiveList.Action.values),
        direction=readers.choice(SensitiveList.Direction.values),
        words=readers.words(LONGEST_WORD, count=MOST_WORDS),
        enabled=readers.flag,
    ),
    required=("name",),
    apply=_apply_list,
    export=_export_lists,
)

_SHADOW = ("live_endpoint", "candidate", "share")
_SHADOW_REST = ("daily_calls", "enabled")


def _apply_shadow(entry: Entry) -> None:
    name = entry.values["name"]
    shadow = Shadow.objects.filter(name=name).first() or Shadow(name=name)
    values = entry.take(*_SHADOW, *_SHADOW_REST)
    if "inbox" in entry.values:
        values["inbox"] = entry.row(Inbox.objects.all(), "inbox", "key")
    configuration.store(shadow, **values)


def _check_endpoints(entries: Sequence[Entry]) -> None:
    for entry in entries:
        for name in ("live_endpoint", "candidate"):
            if slug := entry.values.get(name):
                require_endpoint(entry, name, slug)


def _export_shadows() -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            **{name: getattr(row, name) for name in _SHADOW},
            "inbox": row.inbox.key if row.inbox else None,
            **{name: getattr(row, name) for name in _SHADOW_REST},
        }
        for row in Shadow.objects.select_related("inbox").order_by("name")
    ]


SHADOWS = Spec(
    name="shadows",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(120, empty=False),
        live_endpoint=readers.text(40),
        candidate=readers.slug,
        share=readers.amount(0, 1),
        inbox=readers.optional(readers.slug),
        daily_calls=readers.number(1, 1_000_000),
        enabled=readers.flag,
    ),
    required=("name",),
    apply=_apply_shadow,
    export=_export_shadows,
    conclude=_check_endpoints,
)
