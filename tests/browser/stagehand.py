"""What happens behind the stage of a browser test: agents, bot and visitors without a browser.

Its own process with its own Django, on the database of the live site. One JSON line in,
`{"do": "reply", …}`, one JSON line out, `{"ok": …}` or `{"error": "…"}`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")
django.setup()

from django.contrib.auth import SESSION_KEY  # noqa: E402  Django is set up first
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils import timezone  # noqa: E402

from ai_gateway import limits  # noqa: E402
from ai_gateway.errors import EndpointError, ErrorKind  # noqa: E402
from ai_gateway.models import AnswerRule, Attempt, Endpoint, Shadow  # noqa: E402
from ai_gateway.protocol import Answer, EndpointConfig  # noqa: E402
from ai_gateway.similarity import similarity  # noqa: E402
from channels_adapters.models import Alert  # noqa: E402
from tests import factories  # noqa: E402
from tests.gates import forget_endpoints  # noqa: E402
from tickets import bus, online  # noqa: E402
from tickets.envelopes import BOT, Author, Sender  # noqa: E402
from tickets.events import HandoffReason, ReplyGrowing, TypingStarted  # noqa: E402
from tickets.models import (  # noqa: E402
    Contact,
    ContactIdentity,
    Conversation,
    Inbox,
    Message,
    ReplyWindow,
)
from tickets.services import api_keys, contacts, conversations, joining, messages  # noqa: E402


def seed() -> dict[str, Any]:
    """A team, two agents, an admin, and a web inbox whose bot is silent until a rule speaks."""
    team = factories.team("aftersale", name="售后")
    factories.user("xiaofang", teams=[team])
    factories.user("lilei", teams=[team])
    factories.user("boss", role="admin")
    User.objects.filter(username="xiaofang").update(first_name="小芳")
    User.objects.filter(username="lilei").update(first_name="李雷")
    return {"inbox": inbox(name="清禾官方客服", key="shop"), "team": team.slug}


def inbox(**values: Any) -> str:
    from tickets.models import Team

    return factories.inbox("web", team=Team.objects.get(slug="aftersale"), **values).key


def channel(type: str, **values: Any) -> int:
    """An inbox of a platform; its number."""
    return factories.inbox(type, **values).pk


def ill(inbox: int, kind: str, **values: Any) -> None:
    """Its alert of that kind stands from now on."""
    Alert.objects.create(inbox_id=inbox, kind=kind, since=timezone.now(), **values)


def well(inbox: int) -> None:
    Alert.objects.filter(inbox_id=inbox).delete()


def rule(**values: Any) -> None:
    AnswerRule.objects.create(**values)


def copilot(base_url: str) -> None:
    """The agents' endpoint, and none for the bot; without an address there is no endpoint."""
    Endpoint.objects.filter(slug="assistant").delete()
    if base_url:
        Endpoint.objects.create(
            slug="assistant", backend="openai", base_url=base_url, options={"copilot": True}
        )


def calls(slug: str, answered: int, failed: int = 0) -> None:
    """Calls of an endpoint that come and go at its gate."""
    asyncio.run(_calls(Endpoint.objects.get(slug=slug).config(), answered, failed))


async def _calls(config: EndpointConfig, answered: int, failed: int) -> None:
    good, down = Answer("好"), EndpointError(ErrorKind.UPSTREAM, "status")
    for number in range(answered + failed):
        ticket = await limits.admit(config)
        came: dict[str, Any] = {"answer": good} if number < answered else {"error": down}
        await limits.report(ticket, ms=320, **came)
    await limits.close()


def _of(inbox: str) -> Conversation:
    """The newest conversation of an inbox: each test has an inbox of its own."""
    return Conversation.objects.filter(inbox__key=inbox).select_related("contact").latest("pk")


def _agent(username: str) -> User:
    return User.objects.get(username=username)


def end_sessions(agent: str) -> None:
    """Logs the agent out everywhere, as an admin or the clock may."""
    user = _agent(agent)
    for session in Session.objects.all():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            session.delete()


def texts(inbox: str) -> list[str]:
    """Contacts' words, as stored, in the order of the log."""
    rows = Message.objects.filter(inbox__key=inbox, kind="incoming").order_by("pk")
    return list(rows.values_list("text", flat=True))


def count_conversations(inbox: str) -> int:
    return Conversation.objects.filter(inbox__key=inbox).count()


def count_contacts(inbox: str) -> int:
    return Contact.objects.filter(conversations__inbox__key=inbox).distinct().count()


def last_rating(inbox: str) -> dict[str, Any]:
    conversation = _of(inbox)
    return {"score": conversation.rating.score, "solved": conversation.rating.solved}


def bot_says(inbox: str, text: str, **values: Any) -> None:
    conversation = _of(inbox)
    asked = conversation.messages.filter(kind="incoming").latest("seq")
    conversations.post_reply(
        conversation, author=BOT, text=text, reply_to=asked, lease=conversation.lease,
        now=timezone.now(), **values,
    )  # fmt: skip


def ai_says(inbox: str, text: str) -> None:
    """As an endpoint's answer, with its call."""
    conversation = _of(inbox)
    Attempt.objects.create(
        conversation=conversation, endpoint="some-ai", outcome="answered", latency_ms=400,
        message=conversation.messages.filter(kind="incoming").latest("seq"),
        created_at=timezone.now(),
    )  # fmt: skip
    bot_says(inbox, text, by_ai=True)


def judged(inbox: str) -> list[bool | None]:
    """What agents think of the endpoints' answers, and of suggestions."""
    rows = Attempt.objects.filter(conversation=_of(inbox), outcome="answered").order_by("pk")
    return list(rows.values_list("good", flat=True))


def bot_grows(inbox: str, text: str) -> None:
    conversation = _of(inbox)
    asked = conversation.messages.filter(kind="incoming").latest("seq")
    bus.hint(ReplyGrowing(conversation.pk, conversation.contact_id, str(asked.public_id), text))


def reply(inbox: str, text: str, agent: str = "xiaofang", **values: Any) -> None:
    author = Author.agent(_agent(agent).pk)
    conversations.post_reply(_of(inbox), author=author, text=text, now=timezone.now(), **values)


def types(inbox: str, on: bool = True) -> None:
    conversation = _of(inbox)
    bus.hint(TypingStarted(conversation.pk, conversation.contact_id, by_contact=False, on=on))


def take_over(inbox: str, agent: str = "xiaofang") -> None:
    conversations.take_over(_of(inbox), agent=_agent(agent), now=timezone.now())


def hand_off(inbox: str) -> None:
    conversations.hand_off(_of(inbox), reason=HandoffReason.ASKED, now=timezone.now())


def read(inbox: str) -> None:
    conversation = _of(inbox)
    conversations.mark_read_by_agent(conversation, seq=conversation.last_seq, now=timezone.now())


def resolve(inbox: str, agent: str = "xiaofang") -> None:
    by = Author.agent(_agent(agent).pk)
    conversations.resolve(_of(inbox), by=by, now=timezone.now())


def block(inbox: str) -> None:
    contacts.set_blocked(_of(inbox).contact, blocked=True, now=timezone.now())


def say(inbox: str, count: int) -> None:
    """The visitor writes this often, from an APP without a browser: 消息 1, 消息 2, …"""
    conversation = _of(inbox)
    identity = conversation.contact.identities.get(inbox__key=inbox)
    for number in range(1, count + 1):
        factories.say(identity, f"消息 {number}", now=timezone.now())


def settings_of(inbox: str, **settings: Any) -> None:
    row = Inbox.objects.get(key=inbox)
    row.settings |= settings
    row.save()


def api_key(scopes: list[str] | None = None, per_minute: int = 1_000_000) -> str:
    wanted = scopes or ["read", "write", "console", "ai", "admin"]
    return api_keys.create(name="program", scopes=wanted, per_minute=per_minute)[1]


def converse(inbox: str, text: str) -> str:
    """A contact's conversation, begun by a message; its id."""
    row = Inbox.objects.get(key=inbox)
    made = factories.conversation(factories.identity(row), text=text, now=timezone.now())
    return str(made.public_id)


def endpoint(slug: str, **values: Any) -> None:
    Endpoint.objects.update_or_create(slug=slug, defaults={"backend": "openai", **values})


def shadowed(inbox: str, question: str, live: str, beside: str) -> int:
    """An answer of the endpoint `live-bot`, beside what `candidate` would have said; its number."""
    converse(inbox, question)
    bot_says(inbox, live)
    log, now = _of(inbox).messages, timezone.now()
    asked, reply = log.get(kind="incoming"), log.get(kind="outgoing")
    call = Attempt.objects.create(
        conversation=_of(inbox), message=asked, endpoint="live-bot", outcome="answered",
        reason="default", latency_ms=812, first_text_ms=240, created_at=now,
    )  # fmt: skip
    shadow, _new = Shadow.objects.get_or_create(
        name="试新模型", defaults={"candidate": "candidate", "daily_calls": 100, "share": 0.0}
    )
    shadow.answers.create(
        message=asked, live_attempt=call, live_endpoint="live-bot", live_text=live,
        live_latency_ms=812, live_cost=0.0031, text=beside, latency_ms=455, first_text_ms=120,
        cost=0.0009, similarity=similarity(live, beside), created_at=now,
    )  # fmt: skip
    return reply.pk


def second_channel(inbox: str, key: str, name: str, closed: bool = False) -> None:
    """The contact of an inbox also has an address on 公众号, with a window of three messages."""
    contact = _of(inbox).contact
    row = factories.inbox("wechat_oa", key=key, name=name)
    identity = factories.identity(row, contact=contact)
    ends = timedelta(seconds=-1) if closed else timedelta(minutes=6, seconds=40)
    ReplyWindow.objects.create(
        identity=identity, action="message", opened_at=timezone.now(), quota=3,
        closes_at=timezone.now() + ends,
    )  # fmt: skip


def write_from(key: str, text: str) -> None:
    """The contact writes from that address."""
    identity = ContactIdentity.objects.select_related("inbox").get(inbox__key=key)
    factories.say(identity, text, now=timezone.now())


def close_window(key: str) -> None:
    ReplyWindow.objects.filter(identity__inbox__key=key).update(closes_at=timezone.now())


def platform_refuses(key: str, code: str) -> None:
    """The last reply to that address comes back with this code."""
    last = Message.objects.filter(inbox__key=key, kind="outgoing").latest("pk")
    messages.mark_failed(last, code=code, detail="refused by the platform")


def claims_phone(inbox: str, phone: str, other_name: str) -> None:
    """The contact of an inbox and somebody else say that they have this telephone."""
    now = timezone.now()
    joining.note(_of(inbox).identity, Sender("", phone=phone), now=now)
    other = factories.identity(Inbox.objects.get(key=inbox))
    contacts.update(other.contact, name=other_name, now=now)
    joining.note(other, Sender("", phone=phone), now=now)
    factories.say(other, f"我是{other_name}", now=now)


def visits(inbox: str, page: str) -> None:
    seen = online.Seen(_of(inbox).inbox_id, timezone.now(), page)
    online.note({_of(inbox).contact_id: seen})


def attempts(endpoint: str) -> list[str]:
    """What became of the calls of an endpoint, the newest last."""
    rows = Attempt.objects.filter(endpoint=endpoint).order_by("pk")
    return list(rows.values_list("outcome", flat=True))


DEEDS: dict[str, Callable[..., Any]] = {
    deed.__name__: deed
    for deed in (
        seed, inbox, rule, copilot, end_sessions, texts, count_conversations, count_contacts,
        last_rating, bot_says, ai_says, judged, bot_grows, reply, types, take_over, hand_off,
        read, resolve, block, say, settings_of, forget_endpoints, api_key, converse, endpoint,
        attempts, calls, shadowed, channel, ill, well, second_channel, write_from, close_window,
        platform_refuses, claims_phone, visits,
    )
}  # fmt: skip


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"ok": DEEDS[order.pop("do")](**order)}
        except Exception as error:  # the test that asked is told, and fails
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
