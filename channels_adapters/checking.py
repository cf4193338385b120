"""Proves an inbox's sending credentials by a call that nobody sees."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channels_adapters import alerts, http, registry, tokens
from channels_adapters.errors import NotConfigured
from channels_adapters.models import Alert
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action, Result
from tickets.models import Inbox


class Verdict(StrEnum):
    GOOD = "good"  # the platform takes our credentials
    NOTHING = "nothing"  # this channel has no call that would prove it
    MISSING = "missing"  # `detail` names what is not set
    REFUSED = "refused"  # the platform says no, with `code` and `detail`
    BUSY = "busy"  # it asks us to come again later
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class Checked:
    """What the platform said; `code` and `detail` are its own."""

    verdict: Verdict
    code: str = ""
    detail: str = ""


def check(inbox: Inbox, *, now: datetime) -> Checked:
    """Ask the platform now; an alert about the token is opened or cleared by what it says."""
    if not registry.has_adapter(inbox.type):
        return Checked(Verdict.NOTHING)
    adapter = registry.adapter_for(inbox)
    if lacking := registry.missing(adapter, adapter.sending):
        return Checked(Verdict.MISSING, detail=", ".join(lacking))
    checked = http.run(_ask(adapter))
    if checked.verdict == Verdict.GOOD:
        alerts.token_works(inbox, now=now)
    elif checked.verdict == Verdict.REFUSED:
        kind = Alert.Kind.TOKEN
        alerts.open_alert(inbox, kind, now=now, code=checked.code, detail=checked.detail)
    return checked


async def _ask(adapter: HttpAdapter) -> Checked:
    try:
        token = await tokens.renew(adapter)
        request = adapter.check_request(token)
        if request is None:
            return Checked(Verdict.GOOD if token else Verdict.NOTHING)
        return _of_result(adapter.read_check(await http.call(request)))
    except tokens.TokenRefused as refusal:
        return _of_result(refusal.result)
    except NotConfigured as error:
        return Checked(Verdict.MISSING, detail=", ".join(error.names))
    except http.NoAnswer as silence:
        return Checked(Verdict.NO_ANSWER, detail=str(silence))


def _of_result(result: Result) -> Checked:
    if result.code == "no_answer":
        return Checked(Verdict.NO_ANSWER, detail=result.detail)
    verdicts = {Action.OK: Verdict.GOOD, Action.RETRY: Verdict.BUSY}
    verdict = verdicts.get(result.action, Verdict.REFUSED)
    return Checked(verdict, result.code, result.detail)
