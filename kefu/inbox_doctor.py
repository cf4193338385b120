"""What `manage.py doctor` says of each inbox that is switched on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels_adapters import checking, inbox_health, registry, tokens
from channels_adapters.checking import Verdict
from channels_adapters.inbox_health import Level
from channels_adapters.words_of_health import of_check
from tickets.models import Inbox

DUE = timedelta(minutes=5)


@dataclass(frozen=True)
class Examined:
    """One inbox: what is wrong, each with what to do; `is_ill` where it cannot work."""

    name: str
    advice: tuple[str, ...] = ()
    is_ill: bool = False


def examine(*, now: datetime, online: bool) -> Iterator[Examined]:
    """Every enabled inbox. Platforms are asked with `online`, and where a token is due anyway."""
    for inbox in Inbox.objects.enabled().order_by("type", "key"):
        asked = checking.check(inbox, now=now) if online or _is_due(inbox, now) else None
        yield _examined(inbox, asked, now)


def _is_due(inbox: Inbox, now: datetime) -> bool:
    if not registry.has_adapter(inbox.type):
        return False
    ends = tokens.expires_at(registry.adapter_for(inbox))
    return ends is not None and ends <= (now + DUE).timestamp()


def _examined(inbox: Inbox, asked: checking.Checked | None, now: datetime) -> Examined:
    health = inbox_health.of(inbox, now=now)
    advice = [_line(finding.text, finding.todo) for finding in health.findings]
    assert health.details is not None
    for error in health.details.errors:
        advice.append(_line(f"{error.count} × {error.code}", error.detail))
    is_told = asked is None or asked.verdict in (Verdict.GOOD, Verdict.NOTHING, Verdict.MISSING)
    if asked and not is_told:
        said = of_check(asked)
        advice.append(_line(said.text, said.todo))
    is_ill = health.level == Level.RED or not is_told
    return Examined(f"inbox {inbox.key} ({inbox.type})", tuple(advice), is_ill)


def _line(text: str, todo: str) -> str:
    return f"{text} → {todo}" if todo else text
