"""NX-12: whatever the interleaving, the bot never speaks after a person took over.

A machine plays visitor, bot, agents and the clock against the real services; beside it a
few lines of model say who owns the conversation and what the visitor may have heard.
"""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.factories import NOON
from tickets.envelopes import BOT, Author
from tickets.errors import IllegalStatus, LeaseLost
from tickets.events import HandoffReason
from tickets.models import Conversation, Message
from tickets.services import conversations

MOVES = (
    "visitor writes",
    "bot begins to think",
    "bot answers",
    "bot hands off",
    "agent replies",
    "agent takes over",
    "agent returns it to the bot",
    "agent resolves",
    "time runs out",
)


class Play:
    """The real conversation, and what the model expects of it."""

    def __init__(self, identity, agent) -> None:
        self.identity, self.agent = identity, agent
        self.thought: tuple[Conversation, int] | None = None
        self.owner = "nobody"
        self.epoch = 0  # grows with every change of owner
        self.thought_epoch = -1
        self.heard_from_bot = 0
        self.unsent = 0

    def conversation(self) -> Conversation | None:
        return Conversation.objects.order_by("-pk").first()

    def own(self, owner: str) -> None:
        self.owner, self.epoch = owner, self.epoch + 1

    def move(self, name: str) -> None:
        conversation = self.conversation()
        if name == "visitor writes":
            factories.say(self.identity, "问")
            if self.owner in ("nobody", "resolved"):
                self.own("bot")
        elif conversation is not None:
            getattr(self, "_" + name.replace(" ", "_"))(conversation)

    def _bot_begins_to_think(self, conversation) -> None:
        self.thought, self.thought_epoch = (conversation, conversation.lease), self.epoch

    def _bot_answers(self, conversation) -> None:
        if self.thought is None:
            return
        about, lease = self.thought
        may = self.owner == "bot" and self.thought_epoch == self.epoch
        try:
            conversations.post_reply(about, author=BOT, text="答", lease=lease, now=NOON)
        except LeaseLost:
            assert not may
            self.unsent += 1
        else:
            assert may
            self.heard_from_bot += 1

    def _bot_hands_off(self, conversation) -> None:
        moved = conversations.hand_off(conversation, reason=HandoffReason.MISSES, now=NOON)
        assert moved == (self.owner == "bot")
        if moved:
            self.own("queue")

    def _time_runs_out(self, conversation) -> None:
        self._bot_hands_off(conversation)

    def _agent_replies(self, conversation) -> None:
        author = Author.agent(self.agent.pk)
        try:
            conversations.post_reply(conversation, author=author, text="人", now=NOON)
        except IllegalStatus:
            assert self.owner == "resolved"
            return
        if self.owner != "agent":
            self.own("agent")

    def _agent_takes_over(self, conversation) -> None:
        try:
            conversations.take_over(conversation, agent=self.agent, now=NOON)
        except IllegalStatus:
            assert self.owner == "resolved"
            return
        if self.owner != "agent":
            self.own("agent")

    def _agent_returns_it_to_the_bot(self, conversation) -> None:
        try:
            conversations.return_to_bot(conversation, by=Author.agent(self.agent.pk), now=NOON)
        except IllegalStatus:
            assert self.owner in ("bot", "resolved")
        else:
            self.own("bot")

    def _agent_resolves(self, conversation) -> None:
        try:
            conversations.resolve(conversation, by=Author.agent(self.agent.pk), now=NOON)
        except IllegalStatus:
            assert self.owner == "resolved"
        else:
            self.own("resolved")

    def check(self) -> None:
        conversation = self.conversation()
        if conversation is None:
            return
        owners = {"bot": "bot", "queued": "queue", "resolved": "resolved"}
        assert owners.get(conversation.status, "agent") == self.owner
        from_bot = Message.objects.filter(author_kind="bot")
        assert from_bot.filter(kind="outgoing").count() == self.heard_from_bot
        assert from_bot.filter(kind="note", meta__unsent=True).count() == self.unsent
        for each in Conversation.objects.all():
            seqs = list(each.messages.in_order().values_list("seq", flat=True))
            assert seqs == list(range(1, each.last_seq + 1))


def play(moves) -> None:
    inbox = factories.inbox("web")
    game = Play(factories.identity(inbox), factories.user())
    for move in moves:
        game.move(move)
        game.check()


@pytest.mark.django_db
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(MOVES), min_size=1, max_size=10))
def test_long_plays_keep_the_lease(rollback, moves):
    with rollback():
        play(["visitor writes", *moves])


RACE = ("visitor writes", "bot answers", "agent replies", "agent takes over", "agent resolves",
        "time runs out")  # fmt: skip


@pytest.mark.django_db
def test_every_order_of_six_moves_while_the_bot_thinks_keeps_the_lease(rollback):
    """A walk through the tree of orders; a savepoint undoes each branch."""

    def walk(game: Play, left: tuple[str, ...]) -> int:
        leaves = 0 if left else 1
        for move in left:
            with rollback():
                branch = copy.copy(game)
                branch.move(move)
                branch.check()
                leaves += walk(branch, tuple(other for other in left if other != move))
        return leaves

    game = Play(factories.identity(factories.inbox("web")), factories.user())
    game.move("visitor writes")
    game.move("bot begins to think")

    assert walk(game, RACE) == 720
