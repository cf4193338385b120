"""The way of one message, hop by hop (NX-06): read off the rows that each room wrote on it.

Nothing is written for it alone, so it costs a message nothing. A room adds what it knows with
`add_source`, when the house starts.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tickets.models import Envelope, Message
from tickets.payloads import iso

# In words; a stage `ai:<endpoint>` is `ai` with the endpoint's name.
STAGES: dict[str, str | Promise] = {
    "accepted": _("平台送达我们"),
    "stored": _("已存入会话"),
    "ai": _("询问 AI 接口 {name}"),
    "lined_up": _("排队发送"),
    "delivery": _("交给平台"),
    "pending": _("重新排队"),
    "sent": _("已发送"),
    "delivered": _("已送达"),
    "read": _("客户已读"),
    "failed": _("未送达"),
}
RESULTS: dict[str, str | Promise] = {
    "ok": _("完成"),
    "waiting": _("等待"),
    "failed": _("失败"),
    "unknown": _("结果未知"),
    "skipped": _("跳过"),
}

Source = Callable[[Message], Iterable["Hop"]]


@dataclass(frozen=True)
class Hop:
    """One step: when it was done, how long it took (where that is known), and what came of it.

    `result` is ok, waiting, failed, unknown or skipped; `code` and `detail` are a platform's or
    an endpoint's own.
    """

    stage: str
    at: datetime
    ms: int | None = None
    result: str = "ok"
    code: str = ""
    detail: str = ""


_sources: list[Source] = []


def add_source(source: Source) -> None:
    """Let a room tell its hops; the same one twice is one."""
    if source not in _sources:
        _sources.append(source)


def hops_of(message: Message) -> list[Hop]:
    """All that is known of the message's way, in the order in which it happened."""
    found = [hop for source in _sources for hop in source(message)]
    return sorted(found, key=lambda hop: hop.at)


def stage_words(stage: str) -> str:
    """A stage for people; one that has no words yet as it is."""
    kind, _colon, name = stage.partition(":")
    return str(STAGES.get(kind, stage)).replace("{name}", name)


def trace_payload(message: Message) -> dict[str, Any]:
    """{"trace", "message", "hops": [{"stage", "at", "ms", "result", "code", "detail"}]}."""
    hops = [{**asdict(hop), "at": iso(hop.at)} for hop in hops_of(message)]
    return {"trace": message.trace, "message": str(message.public_id), "hops": hops}


def own_hops(message: Message) -> Iterable[Hop]:
    """The ground's: handed in, stored, and what the platform said of it afterwards."""
    envelope = _envelope_of(message)
    if envelope:
        yield Hop("accepted", envelope.created_at, detail=envelope.source_id)
    since = _ms(envelope.created_at, message.created_at) if envelope else None
    place = f"#{message.conversation_id}/{message.seq}"
    yield Hop("stored", message.created_at, since, detail=place)
    for status, moment in (message.meta or {}).get("times", {}).items():
        at = datetime.fromisoformat(moment)
        failed = status == Message.Status.FAILED
        yield Hop(
            status,
            at,
            _ms(message.created_at, at),
            "failed" if failed else "ok",
            message.provider_code if failed else "",
            message.provider_detail if failed else "",
        )


def _envelope_of(message: Message) -> Envelope | None:
    if message.kind != Message.Kind.INCOMING or not message.source_id:
        return None
    return Envelope.objects.filter(inbox=message.inbox_id, source_id=message.source_id).first()


def _ms(since: datetime, until: datetime) -> int:
    return round((until - since).total_seconds() * 1000)
