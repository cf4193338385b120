"""200 conversations of the last two weeks, in every status and over all channels.

Written in bulk, for speed and because they happened in the past: services act now. What the
services promise holds here too: numbers without gaps, one live conversation for a contact,
unread and waiting as the log says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from django.contrib.auth.models import User
from django.db import transaction

from kefu.demo import blanks
from kefu.demo.blanks import Blanks
from kefu.demo.people import AGENTS
from kefu.demo.scenes import SCENES, Line, Scene
from tickets.models import (
    Contact,
    ContactIdentity,
    Conversation,
    Inbox,
    Label,
    Message,
    Rating,
    Team,
    Ticket,
)
from tickets.services import lines

Status = Conversation.Status
# The live ones have a contact each; resolved ones share contacts with them and with each other.
HOW_MANY = {
    Status.BOT: 20,
    Status.QUEUED: 12,
    Status.OPEN: 34,
    Status.WAITING: 24,
    Status.SNOOZED: 8,
    Status.RESOLVED: 102,
}
CONTACTS = 150
WEIGHTS = {"web": 8, "wechat_oa": 5, "taobao": 5, "wecom": 4, "feishu": 3, "api": 2, "email": 1}
COMMENTS = ("回复很快，问题解决了", "耐心", "等得有点久", "专业，点赞", "还可以", "解决了，谢谢")


@dataclass
class _Plan:
    """One conversation before it is written: its row, its messages, and what hangs on them."""

    conversation: Conversation
    scene: Scene
    messages: list[Message] = field(default_factory=list)
    rating: Rating | None = None


class _Troupe:
    """Who plays: inboxes, contacts with their addresses, agents by team."""

    def __init__(self, random: Random, inboxes: list[Inbox], now: datetime) -> None:
        self.random = random
        self.inboxes = inboxes
        self.now = now
        self.teams = {team.slug: team for team in Team.objects.all()}
        users = {user.username: user for user in User.objects.all()}
        self.agents: dict[str, list[User]] = {}
        for person in AGENTS:
            self.agents.setdefault(person.teams[0], []).append(users[person.username])
        self.identities = self._make_identities()

    def _make_identities(self) -> list[ContactIdentity]:
        """One address for each contact, the channels in their usual proportion."""
        weights = [WEIGHTS.get(inbox.type, 1) for inbox in self.inboxes]
        chosen = self.random.choices(self.inboxes, weights, k=CONTACTS)
        contacts = Contact.objects.bulk_create([self._contact(inbox) for inbox in chosen])
        pairs = zip(contacts, chosen, strict=True)
        return ContactIdentity.objects.bulk_create(
            ContactIdentity(
                inbox=inbox,
                external_id=blanks.external_id(self.random, inbox.type),
                home=contact,
                contact=contact,
                verified=inbox.type != "web",
                last_seen_at=self.now,
            )
            for contact, inbox in pairs
        )

    def _contact(self, inbox: Inbox) -> Contact:
        anonymous = inbox.type == "web" and self.random.random() < 0.6
        known = not anonymous and self.random.random() < 0.4
        phone = f"13{self.random.randrange(10**8, 10**9)}"
        return Contact(
            name="" if anonymous else blanks.person_name(self.random),
            phone=phone if known else "",
            language="zh-hans",
            custom={"会员等级": self.random.choice(("普通", "银卡", "金卡"))} if known else {},
        )


@transaction.atomic
def install(inboxes: list[Inbox], *, now: datetime) -> int:
    """Write them, once; returns how many were written."""
    if Conversation.objects.exists():
        return 0
    random = Random(2026)  # noqa: S311  the same demo for everybody
    troupe = _Troupe(random, inboxes, now)
    plans = sorted(_plans(troupe), key=lambda plan: plan.conversation.created_at)
    Conversation.objects.bulk_create(plan.conversation for plan in plans)
    Message.objects.bulk_create(message for plan in plans for message in plan.messages)
    Rating.objects.bulk_create(plan.rating for plan in plans if plan.rating)
    _put_labels(plans, random)
    _open_tickets(plans, random)
    return len(plans)


def _plans(troupe: _Troupe) -> Iterator[_Plan]:
    free = list(troupe.identities)
    scene_at = 0
    for status, count in HOW_MANY.items():
        for _ in range(count):
            # Each live contact is used up; the resolved ones draw from everybody.
            identity = (
                troupe.random.choice(troupe.identities) if status == Status.RESOLVED else free.pop()
            )
            scene = _scene_for(status, scene_at)
            scene_at += 1
            yield _Rehearsal(troupe, identity, scene, status).play()


def _scene_for(status: str, start: int) -> Scene:
    """The next scene in turn that can come to this status."""
    for offset in range(len(SCENES)):
        scene = SCENES[(start + offset) % len(SCENES)]
        if scene.people or status in (Status.BOT, Status.RESOLVED):
            return scene
    raise LookupError(status)


class _Rehearsal:
    """Writes one conversation's log up to where its status leaves it."""

    def __init__(
        self, troupe: _Troupe, identity: ContactIdentity, scene: Scene, status: str
    ) -> None:
        self.random = troupe.random
        self.now = troupe.now
        self.identity = identity
        self.scene = scene
        self.status = status
        self.with_agent = status not in (Status.BOT, Status.QUEUED) and bool(scene.people)
        self.agent = self.random.choice(troupe.agents[scene.team])
        self.blanks: Blanks = blanks.draw(self.random, self.agent.first_name)
        self.at = troupe.now - self._age()
        self.conversation = self._conversation(troupe.teams[scene.team])
        self.messages: list[Message] = []

    def _age(self) -> timedelta:
        """Resolved ones lie days back, live ones hours, those who wait now minutes."""
        minutes = {
            Status.RESOLVED: (24 * 60, 14 * 24 * 60),
            Status.QUEUED: (4, 25),
            Status.OPEN: (15, 180),
            Status.BOT: (3, 120),
        }.get(Status(self.status), (60, 26 * 60))
        return timedelta(minutes=self.random.uniform(*minutes))

    def _conversation(self, team: Team) -> Conversation:
        owner = {Status.BOT: "bot", Status.QUEUED: "queue"}.get(Status(self.status), "agent")
        if not self.with_agent and owner == "agent":
            owner = "bot"  # resolved by the bot alone
        return Conversation(
            contact=self.identity.contact,
            identity=self.identity,
            reply_identity=self.identity,
            inbox=self.identity.inbox,
            team=team,
            assignee=self.agent if self.with_agent else None,
            status=self.status,
            owner_kind=owner,
            lease={"bot": 1, "queue": 2}.get(owner, 3),
            priority=self.random.choices((1, 2, 3, 4), (1, 12, 3, 1))[0],
            created_at=self.at,
            page={"title": "AirPure 3 空气净化器", "url": "https://shop.qinghe.example/airpure-3"}
            if self.identity.inbox.type == "web"
            else {},
        )

    def play(self) -> _Plan:
        self._say_all(self.scene.bot)
        plan = _Plan(self.conversation, self.scene, self.messages)
        if self.status == Status.QUEUED or self.with_agent:
            self._activity(lines.queued(self.identity.inbox, ahead=0, now=self.now))
        if self.with_agent:
            self._activity(lines.taken_over(self.agent.first_name))
            self._say_all(self._part_of_people())
        if self.status == Status.RESOLVED:
            self._activity(lines.resolved())
            plan.rating = self._rating()
        self._finish()
        return plan

    def _part_of_people(self) -> tuple[Line, ...]:
        """As far as the status: open ends with the contact's word, waiting with ours."""
        if self.status == Status.RESOLVED:
            return self.scene.people
        last = "c" if self.status == Status.OPEN else "a"
        ends = [i + 1 for i, (who, _) in enumerate(self.scene.people) if who == last]
        return self.scene.people[: self.random.choice(ends)]

    def _say_all(self, script: tuple[Line, ...]) -> None:
        kinds = {
            "c": ("incoming", "contact"),
            "b": ("outgoing", "bot"),
            "a": ("outgoing", "agent"),
            "n": ("note", "agent"),
        }
        for who, text in script:
            kind, author = kinds[who]
            self._add(kind, author, self.blanks.fill(text))

    def _activity(self, text: str) -> None:
        self._add("activity", "system", text)

    def _add(self, kind: str, author: str, text: str) -> None:
        pause_s = {"bot": (1, 3), "system": (0.2, 1)}.get(author, (12, 70))
        self.at = min(self.at + timedelta(seconds=self.random.uniform(*pause_s)), self.now)
        self.messages.append(
            Message(
                conversation=self.conversation,
                seq=len(self.messages) + 1,
                kind=kind,
                author_kind=author,
                author_user=self.agent if author == "agent" else None,
                identity=None if kind == "note" else self.identity,
                inbox=self.identity.inbox,
                text=text,
                status="read" if kind == "outgoing" else "sent",
                created_at=self.at,
            )
        )

    def _rating(self) -> Rating | None:
        if not self.with_agent or self.random.random() > 0.6:
            return None
        score = self.random.choices((5, 4, 3, 2, 1), (10, 5, 2, 1, 1))[0]
        return Rating(
            conversation=self.conversation,
            score=score,
            solved=score > 2,
            comment=self.random.choice(COMMENTS) if self.random.random() < 0.5 else "",
            agent=self.agent,
            created_at=self.at,
            updated_at=self.at,
        )

    def _finish(self) -> None:
        """What the row says of its log."""
        row, last = self.conversation, self.messages[-1]
        row.last_seq = last.seq
        row.last_public_seq = max(m.seq for m in self.messages if m.kind != "note")
        row.last_message_at = row.updated_at = last.created_at
        unanswered = self._unanswered()
        if self.status in (Status.QUEUED, Status.OPEN) and unanswered:
            row.waiting_since = unanswered[0].created_at
            row.unread = len(unanswered)
        row.agent_read_seq = row.last_seq - (row.unread if self.status == Status.OPEN else 0)
        if self.status == Status.QUEUED:
            row.agent_read_seq = 0
        row.contact_read_seq = row.last_public_seq
        if self.status == Status.SNOOZED:
            row.snoozed_until = self.now + timedelta(hours=self.random.randrange(2, 40))
        if self.status == Status.RESOLVED:
            row.resolved_at = last.created_at

    def _unanswered(self) -> list[Message]:
        """The contact's words since our last; in the queue all of them, for nobody has read."""
        if self.status == Status.QUEUED:
            return [m for m in self.messages if m.kind == "incoming"]
        answered = [m.seq for m in self.messages if m.author_kind in ("agent", "bot")]
        since = max(answered, default=0)
        return [m for m in self.messages if m.kind == "incoming" and m.seq > since]


def _put_labels(plans: list[_Plan], random: Random) -> None:
    labels = {label.name: label for label in Label.objects.all()}
    through = Conversation.labels.through
    rows = [(plan, plan.scene.label) for plan in plans if random.random() < 0.7]
    rows += [(plan, "VIP") for plan in plans if random.random() < 0.05]
    through.objects.bulk_create(
        through(conversation=plan.conversation, label=labels[name]) for plan, name in rows
    )


def _open_tickets(plans: list[_Plan], random: Random) -> None:
    """For a dozen of those that an agent has: work that outlives the talk."""
    titles = {
        "退款": "核实退款流水",
        "换货": "寄出换货新机",
        "安装": "安排上门",
        "联网": "跟进固件问题",
    }
    chosen = [p for p in plans if p.conversation.assignee and p.scene.label in titles]
    for plan in random.sample(chosen, min(12, len(chosen))):
        row = plan.conversation
        done = row.status == Status.RESOLVED
        ticket = Ticket.objects.create(
            title=titles[plan.scene.label],
            type=plan.scene.label,
            status="resolved" if done else random.choice(("open", "pending")),
            priority=row.priority,
            team=row.team,
            owner=row.assignee,
            contact=row.contact,
            created_at=row.created_at,
            updated_at=row.last_message_at or row.created_at,
        )
        ticket.conversations.add(row)
