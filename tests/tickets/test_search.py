"""Finding what was said, Chinese and other, before and after it is indexed."""

import pytest

from tests import factories
from tests.factories import NOON
from tickets.envelopes import Author
from tickets.models import Conversation, Message, MessageWords
from tickets.services import conversations, search

pytestmark = pytest.mark.django_db


def found(words: str) -> list[int]:
    rows = Conversation.objects.filter(search.conversations_in_which(words))
    return sorted(rows.values_list("pk", flat=True))


@pytest.fixture
def talks(web_inbox):
    """By what was said in it: conversations of different people."""

    def talk(text: str) -> int:
        return factories.conversation(factories.identity(web_inbox), text=text).pk

    texts = (
        "我要退款，订单 A-2026",
        "什么时候发货",
        "Where is my refund?",
        "100% 纯棉吗",
        "款式很好",
    )
    return {text: talk(text) for text in texts}


@pytest.fixture(params=["indexed", "not yet", "in part"])
def any_state(request, talks):
    if request.param == "indexed":
        assert search.index_new() == len(talks)
    elif request.param == "in part":
        search.index_new(batch=2, longest_s=0.0001)
        assert MessageWords.objects.count() == 2


@pytest.fixture(params=["few say it", "many say it", "many said it once"])
def any_number(request, monkeypatch):
    """However many messages say it: what is found is the same, only the way is another."""
    if request.param != "few say it":
        monkeypatch.setattr(search, "FEW", 0)
    if request.param == "many said it once":
        monkeypatch.setattr(search, "RECENT", 0)


@pytest.mark.usefixtures("any_state", "any_number")
@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("退款", ["我要退款，订单 A-2026"]),
        ("款", ["我要退款，订单 A-2026", "款式很好"]),
        ("款退", []),
        ("发货", ["什么时候发货"]),
        ("REFUND", ["Where is my refund?"]),
        ("fun", ["Where is my refund?"]),
        ("a-2026", ["我要退款，订单 A-2026"]),
        ("100%", ["100% 纯棉吗"]),
        ("%", ["100% 纯棉吗"]),
        ("？", []),
        ("'; DROP", []),
        ("\\", []),
        ("我要退款，订单", ["我要退款，订单 A-2026"]),
    ],
)
def test_just_these_words_are_found(talks, words, texts):
    assert found(words) == sorted(talks[text] for text in texts)


def test_what_is_written_later_is_found_at_once_and_indexed_once(talks):
    search.index_new()
    conversation = Conversation.objects.get(pk=talks["什么时候发货"])
    author = Author.agent(factories.user().pk)
    conversations.post_reply(conversation, author=author, text="明天寄出", now=NOON)

    assert found("寄出") == [conversation.pk]
    assert search.index_new() == 1
    assert search.index_new() == 0
    assert found("寄出") == [conversation.pk]


def test_a_message_that_was_committed_late_is_indexed_too(talks):
    search.index_new()
    late = Message.objects.earliest("pk")
    MessageWords.objects.filter(message=late).delete()

    assert search.index_new() == 1
    assert found("退款") == [talks["我要退款，订单 A-2026"]]
