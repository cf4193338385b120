"""What the rows and Redis say of inboxes: figures, without a judgement (`inbox_health` judges)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, F, Max, Q

from channels_adapters import pulse, registry, tokens
from channels_adapters.models import Alert, Delivery
from channels_adapters.protocol import HttpAdapter
from tickets.models import Conversation, Envelope, Inbox, Message, ReplyWindow

DAY = timedelta(days=1)
LOOKED_BACK = 20_000  # messages among which the last of an inbox is sought, where Redis forgot it


@dataclass(frozen=True)
class Brief:
    """What a list shows of an inbox, and every judgement rests on."""

    alerts: tuple[Alert, ...] = ()
    deliveries: Mapping[str, int] = field(default_factory=dict)  # status -> of the last 24 h
    dead_envelopes: int = 0
    missing_for_callback: tuple[str, ...] = ()
    missing_for_sending: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlatformError:
    """What a platform said to deliveries of the last 24 h, and to how many."""

    code: str
    count: int
    detail: str
    last_at: datetime


@dataclass(frozen=True)
class Windows:
    """Of the live conversations: windows that are open, and those whose count is used up."""

    open: int
    used_up: int


@dataclass(frozen=True)
class Quota:
    """Messages of the last 24 h, and how many the platform takes in a day."""

    used: int
    limit: int


@dataclass(frozen=True)
class Details:
    """What only an inbox's own page shows."""

    last_in: datetime | None
    last_out: datetime | None
    refused: tuple[pulse.Refusals, ...]
    errors: tuple[PlatformError, ...]
    waiting: int
    token_expires_at: float | None  # seconds since 1970
    windows: Windows | None
    quota: Quota | None


def briefs(inboxes: Sequence[Inbox], *, now: datetime) -> dict[int, Brief]:
    """Inbox id -> its figures; three statements for all."""
    ids = [inbox.pk for inbox in inboxes]
    alerts: dict[int, list[Alert]] = {pk: [] for pk in ids}
    for alert in Alert.objects.open().filter(inbox__in=ids).order_by("since"):
        alerts[alert.inbox_id].append(alert)
    deliveries: dict[int, Counter[str]] = {pk: Counter() for pk in ids}
    recent = Delivery.objects.filter(inbox__in=ids, created_at__gte=now - DAY)
    for inbox_id, status, count in recent.values_list("inbox", "status").annotate(Count("pk")):
        deliveries[inbox_id][status] += count
    dead = Envelope.objects.filter(status=Envelope.Status.FAILED, inbox__in=ids)
    envelopes = dict(dead.values_list("inbox").annotate(Count("pk")))
    return {
        inbox.pk: Brief(
            tuple(alerts[inbox.pk]),
            deliveries[inbox.pk],
            envelopes.get(inbox.pk, 0),
            *missing(inbox),
        )
        for inbox in inboxes
    }


def missing(inbox: Inbox) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The credentials that its callback lacks, and those that sending lacks."""
    if not registry.has_adapter(inbox.type) or inbox.is_read_by_clients:
        return (), ()
    adapter = registry.adapter_for(inbox)
    return (
        tuple(registry.missing(adapter, adapter.required)),
        tuple(registry.missing(adapter, adapter.sending)),
    )


def details(inbox: Inbox, *, now: datetime) -> Details:
    """The rest, of one inbox."""
    signs = pulse.of(inbox.pk, now=now)
    has_adapter = registry.has_adapter(inbox.type)
    adapter = registry.adapter_for(inbox) if has_adapter else None
    return Details(
        last_in=signs.last_in or _last(inbox, Message.Kind.INCOMING),
        last_out=signs.last_out or _last(inbox, Message.Kind.OUTGOING),
        refused=signs.refused,
        errors=_errors(inbox, now),
        waiting=Delivery.objects.filter(inbox=inbox, status=Delivery.Status.WAITING).count(),
        token_expires_at=tokens.expires_at(adapter) if adapter else None,
        windows=_windows(inbox, adapter, now),
        quota=_quota(inbox, adapter, now),
    )


def _last(inbox: Inbox, kind: Message.Kind) -> datetime | None:
    newest = Message.objects.aggregate(pk=Max("pk"))["pk"]
    if newest is None:
        return None
    near = Message.objects.filter(pk__gt=newest - LOOKED_BACK, inbox=inbox, kind=kind)
    if kind == Message.Kind.OUTGOING:
        near = near.exclude(status__in=[Message.Status.PENDING, Message.Status.FAILED])
    found: datetime | None = near.aggregate(at=Max("created_at"))["at"]
    return found


def _errors(inbox: Inbox, now: datetime) -> tuple[PlatformError, ...]:
    """By code, the most frequent first; the words are those of the last."""
    failing = Delivery.objects.filter(inbox=inbox, created_at__gte=now - DAY).exclude(
        Q(code="") | Q(status=Delivery.Status.SENT)
    )
    counted = list(failing.values("code").annotate(n=Count("pk"), last=Max("pk")).order_by("-n"))
    rows = Delivery.objects.in_bulk([one["last"] for one in counted])
    return tuple(
        PlatformError(one["code"], one["n"], row.detail, row.done_at or row.created_at)
        for one in counted
        if (row := rows.get(one["last"]))
    )


def _windows(inbox: Inbox, adapter: HttpAdapter | None, now: datetime) -> Windows | None:
    if adapter is None or not adapter.capabilities.windows:
        return None
    live = Conversation.objects.live().filter(reply_identity__inbox=inbox)
    standing = ReplyWindow.objects.filter(
        Q(closes_at=None) | Q(closes_at__gt=now),
        identity__in=live.values("reply_identity"),
    )
    used_up = Q(quota__isnull=False, quota__lte=F("used") + F("reserved"))
    found = standing.aggregate(n=Count("pk"), used_up=Count("pk", filter=used_up))
    return Windows(found["n"], found["used_up"])


def _quota(inbox: Inbox, adapter: HttpAdapter | None, now: datetime) -> Quota | None:
    if adapter is None or adapter.capabilities.daily_calls is None:
        return None
    sent = Delivery.objects.filter(inbox=inbox, created_at__gte=now - DAY)
    return Quota(sent.filter(parts_done__gt=0).count(), adapter.capabilities.daily_calls)
