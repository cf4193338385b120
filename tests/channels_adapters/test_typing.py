"""正在输入, told to platforms."""

import pytest

from channels_adapters import subscribers, tasks, typing
from tests.fakes.server import as_json
from tickets.events import TypingStarted

pytestmark = pytest.mark.django_db(transaction=True)


def types(conversation, **more) -> None:
    values = {"by_contact": False, "on": True, **more}
    subscribers.show_typing_on_platform(
        TypingStarted(conversation.pk, conversation.contact_id, **values)
    )


@pytest.fixture
def queued(monkeypatch) -> list[int]:
    """What would be queued is done at once."""
    done: list[int] = []

    def apply_async(arguments, **_):
        done.append(arguments[0])
        typing.show(*arguments)

    monkeypatch.setattr(tasks.show_typing, "apply_async", apply_async)
    return done


def test_an_agent_who_types_is_shown_there_once_in_a_while(inbox_of, written, platform, queued):
    platform.shelf["/typing"] = as_json({})
    conversation = written(inbox_of())
    types(conversation)
    types(conversation)
    types(conversation, on=False)

    assert queued == [conversation.pk]
    assert platform.asked("/typing") == [{"to": "u1"}]


def test_the_contacts_own_typing_and_a_platform_that_is_away_are_nothing(
    inbox_of, written, platform, queued
):
    conversation = written(inbox_of())
    types(conversation, by_contact=True)
    assert queued == []

    inbox = conversation.inbox
    inbox.settings = {"base_url": "http://127.0.0.1:9"}
    inbox.save()
    types(conversation)
    assert queued == [conversation.pk]
