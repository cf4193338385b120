"""The one door out: a reply that is pending becomes a message on its platform, once.

The message's row is the outbox. Deliveries of one address go one after the other, in the order
of the log; those of different addresses go side by side. What went wrong decides what follows:
a refresh of the token, another attempt after a pause, or the agent is told why (§1.6).
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.utils import timezone

from channels_adapters import alerts, http, line, parts, pulse, registry, tokens
from channels_adapters.errors import NotConfigured, WindowClosed
from channels_adapters.models import Delivery
from channels_adapters.protocol import DirectAdapter, HttpAdapter, Outbound, OutboundMedia
from channels_adapters.wire import Action, HttpRequest, HttpResponse, Result
from tickets import metrics
from tickets.models import Attachment, Inbox, Message, ReplyRoute, ReplyWindow
from tickets.payloads import user_name
from tickets.services import messages, windows

log = logging.getLogger(__name__)

TOGETHER = 32  # deliveries of one inbox on their way at once
PAUSES_S = (1.0, 5.0, 25.0, 125.0)  # before the second attempt, the third …
LONGEST_S = 24 * 3600.0  # that a platform may have us wait
FOR_PEOPLE = 1  # messages of a quota that a machine leaves to the agent
Status = Delivery.Status
_DIED = Result(Action.UNKNOWN, code="unknown", detail="the worker died while it was sent")


@dataclass(frozen=True)
class Job:
    """A claimed delivery with all that sending it takes; only files are read while it is sent."""

    delivery: Delivery
    message: Message
    carried: tuple[Message, ...]
    adapter: HttpAdapter
    parts: tuple[parts.Part, ...]
    route: ReplyRoute | None
    window: ReplyWindow | None
    reserved: int  # messages of it that are set aside


@dataclass(frozen=True)
class Outcome:
    """How far a job came: the last platform id, or what stopped it."""

    done: int
    platform_id: str = ""
    stopped: Result | None = None


def deliver(inbox: Inbox, *, now: datetime) -> int:
    """Send what waits in an inbox, until nothing is due; how many deliveries it were."""
    line.enter_pending()
    if registry.adapter_for(inbox).is_fetched_from:
        return 0
    sent = 0
    while claimed := _claim(inbox, is_held := alerts.is_held(inbox)):
        jobs = prepare(inbox, claimed, now=timezone.now())
        outcomes = http.run(_send_all(jobs)) if jobs else []
        for job, outcome in zip(jobs, outcomes, strict=True):
            _record_apart(job, outcome)
        if is_held and any(outcome.stopped is None for outcome in outcomes):
            alerts.token_works(inbox, now=timezone.now())
        sent += len(claimed)
    return sent


def _claim(inbox: Inbox, is_held: bool) -> list[Delivery]:
    """What is due; of an inbox whose token is dead one, which tries whether it is still."""
    return line.claim(inbox, now=timezone.now(), limit=1 if is_held else TOGETHER)


# Before ---------------------------------------------------------------------------------------


def prepare(inbox: Inbox, claimed: Sequence[Delivery], *, now: datetime) -> list[Job]:
    """All that is needed to send them; those that may not be sent are recorded as such."""
    adapter = registry.adapter_for(inbox)
    files: defaultdict[int, list[Attachment]] = defaultdict(list)
    of_claimed = Attachment.objects.filter(message__in=[one.message_id for one in claimed])
    for attachment in of_claimed.order_by("position"):
        files[attachment.message_id or 0].append(attachment)
    routes = ReplyRoute.objects.in_bulk([one.identity_id for one in claimed])
    jobs = []
    for one in claimed:
        scene = (adapter, files[one.message_id], routes.get(one.identity_id))
        if job := _prepared(one, *scene, now=now):
            jobs.append(job)
    return jobs


def _prepared(
    delivery: Delivery,
    adapter: HttpAdapter,
    files: Sequence[Attachment],
    route: ReplyRoute | None,
    *,
    now: datetime,
) -> Job | None:
    table = adapter.capabilities
    if not delivery.inbox.enabled or not table.can_send:
        _fail(delivery, _everyone(delivery), Result(Action.PERMANENT, code="channel_off"), now)
        return None
    by_machine = line.is_by_machine(delivery.message)
    carried = line.take_along(delivery) if by_machine and table.has_quota else []
    pieces = parts.parts_of(delivery.message, files, table, carried=carried)
    window, left = None, max(1, len(pieces) - delivery.parts_done)
    if table.windows:
        keep = FOR_PEOPLE if by_machine else 0
        window = windows.reserve(delivery.identity, now=now, count=left, keep=keep)
        if window is None:
            code = "quota_kept" if by_machine else "window_closed"
            closed = Result(Action.WINDOW_CLOSED, code=code)
            _fail(delivery, [delivery.message, *carried], closed, now)
            return None
    return Job(
        delivery=delivery,
        message=delivery.message,
        carried=tuple(carried),
        adapter=adapter,
        parts=tuple(pieces),
        route=route,
        window=window,
        reserved=left if window else 0,
    )


# Sending --------------------------------------------------------------------------------------


async def _send_all(jobs: Sequence[Job]) -> list[Outcome]:
    return await asyncio.gather(*(_send(job) for job in jobs))


async def _send(job: Job) -> Outcome:
    """Part after part, from where an earlier attempt ended. Never raises."""
    done, platform_id = job.delivery.parts_done, ""
    for number, outbound in enumerate(outbounds(job)):
        if number:
            await asyncio.sleep(job.adapter.capabilities.per_address_s)
        try:
            result = await send_part(job.adapter, outbound)
        except Exception as error:  # an outermost edge: an adapter's fault stops its own job only
            log.exception("message %s cannot be sent", job.message.pk)
            result = Result(Action.PERMANENT, code="adapter", detail=type(error).__name__)
        if result.action != Action.OK:
            return Outcome(done, platform_id, result)
        done, platform_id = done + 1, result.platform_id
    return Outcome(done, platform_id)


def outbounds(job: Job) -> Sequence[Outbound]:
    """The parts that are still to go."""
    first = job.delivery.parts_done
    return [_outbound(job, at, part) for at, part in enumerate(job.parts) if at >= first]


def _outbound(job: Job, index: int, part: parts.Part) -> Outbound:
    route, user = job.route, job.message.author_user
    outbound = Outbound(
        to=job.delivery.identity.external_id,
        key=key_of(job.delivery, index),
        thread=route.thread if route else "",
        context=route.context if route else {},
        reply_to=route.platform_id if route else "",
        author_name=user_name(user) if user else "",
        meta=job.message.meta or {},
        automatic=line.is_by_machine(job.message),
    )
    if isinstance(part, parts.Bundle):
        return replace(outbound, text=part.text, files=part.files)
    return replace(outbound, text=part) if isinstance(part, str) else replace(outbound, media=part)


def key_of(delivery: Delivery, index: int) -> str:
    """The name of one part, at most 32 characters: the platform's idempotency key.

    The same in every attempt; another where a person sends it again.
    """
    again = f"-{delivery.round}" if delivery.round else ""
    return f"k{delivery.message_id}-{index}{again}"


async def send_part(adapter: HttpAdapter, outbound: Outbound) -> Result:
    """Send one part; a refused token is fetched anew, once. Raises nothing of the network."""
    result = await _attempt(adapter, outbound)
    if result.action == Action.REFRESH_TOKEN:
        result = await _attempt(adapter, outbound)
        if result.action == Action.REFRESH_TOKEN:
            return replace(result, action=Action.PERMANENT, token_refused=True)
    return result


async def _attempt(adapter: HttpAdapter, outbound: Outbound) -> Result:
    if isinstance(adapter, DirectAdapter):
        return await _attempt_directly(adapter, outbound)
    try:
        token = await tokens.current(adapter)
        if outbound.media:
            outbound = replace(outbound, media=await _uploaded(adapter, outbound.media, token))
        response = await http.call(adapter.build_send(outbound, token))
        result = _of_gateway(adapter, response, adapter.classify(response))
    except tokens.TokenRefused as refusal:
        return _of_token(refusal.result)
    except _UploadRefused as refusal:
        result = refusal.result
    except NotConfigured as error:
        return Result(Action.PERMANENT, code="not_configured", detail=str(error))
    except WindowClosed as error:
        return Result(Action.WINDOW_CLOSED, code="window_closed", detail=str(error))
    except http.NoAnswer as silence:
        return _of_silence(adapter, silence)
    if result.action == Action.REFRESH_TOKEN and token:
        await tokens.drop(adapter, token)
    return result


async def _attempt_directly(adapter: DirectAdapter, outbound: Outbound) -> Result:
    files = [
        replace(one, content=await asyncio.to_thread(_content_of, one)) for one in outbound.files
    ]
    try:
        return await adapter.send(replace(outbound, files=tuple(files)))
    except NotConfigured as error:
        return Result(Action.PERMANENT, code="not_configured", detail=str(error))


class _UploadRefused(Exception):
    def __init__(self, result: Result) -> None:
        super().__init__(result.code)
        self.result = result


async def _uploaded(adapter: HttpAdapter, media: OutboundMedia, token: str) -> OutboundMedia:
    """The file as the platform knows it, where it wants to have it first."""
    content = await asyncio.to_thread(_content_of, media)
    media = replace(media, content=content, handle="")
    request: HttpRequest | None = adapter.upload_request(media, token)
    if request is None:
        return media
    try:
        found = adapter.read_upload(await http.call(request))
    except http.NoAnswer as silence:  # nothing was said to anybody yet
        raise http.NoAnswer(str(silence), may_have_arrived=False) from silence
    if isinstance(found, Result):
        raise _UploadRefused(found)
    return replace(media, handle=found)


def _content_of(media: OutboundMedia) -> bytes:
    with Attachment.objects.get(pk=int(media.handle)).file.open("rb") as file:
        content: bytes = file.read()
        return content


def _of_token(result: Result) -> Result:
    if result.action in (Action.RETRY, Action.UNKNOWN, Action.WINDOW_CLOSED):
        return result
    return replace(result, action=Action.PERMANENT, token_refused=True)


def _of_gateway(adapter: HttpAdapter, response: HttpResponse, result: Result) -> Result:
    """A gateway's page in the place of an answer: the message may have passed it."""
    page = response.status in (502, 504) and not response.document
    if page and result.action == Action.RETRY and not adapter.capabilities.idempotent:
        return replace(result, action=Action.UNKNOWN)
    return result


def _of_silence(adapter: HttpAdapter, silence: http.NoAnswer) -> Result:
    ambiguous = silence.may_have_arrived and not adapter.capabilities.idempotent
    action = Action.UNKNOWN if ambiguous else Action.RETRY
    return Result(action, code="no_answer", detail=str(silence))


# After ----------------------------------------------------------------------------------------


def _record_apart(job: Job, outcome: Outcome) -> None:
    """One that cannot be recorded must not make the others doubtful: they have been sent."""
    try:
        with transaction.atomic():
            record(job, outcome, now=timezone.now())
    except OperationalError:  # the database, not the delivery
        raise
    except Exception:  # an outermost edge, as in `_send`
        log.exception("what became of message %s cannot be recorded", job.message.pk)
        give_up_on(job.delivery, now=timezone.now())


def record(job: Job, outcome: Outcome, *, now: datetime) -> None:
    """What became of it: sent, to be tried again, or for a person to decide."""
    delivery, everyone = job.delivery, [job.message, *job.carried]
    result = outcome.stopped
    Delivery.objects.filter(pk=delivery.pk).update(parts_done=outcome.done)
    _settle_window(job, outcome, now)
    metrics.delivery.labels(job.adapter.channel, result.action if result else "ok").inc()
    if result is None:
        messages.mark_sent(job.message, source_id=outcome.platform_id or None)
        for message in job.carried:
            messages.mark_sent(message)
        pulse.spoke(delivery.inbox_id)
        line.leave(delivery, Status.SENT, now=now, pause_s=job.adapter.capabilities.per_address_s)
    elif result.action == Action.RETRY and delivery.attempts <= len(PAUSES_S):
        line.again(delivery, now + timedelta(seconds=_pause_s(delivery, result)), result)
    elif result.token_refused and alerts.holds(delivery.inbox, result, now=now):
        line.hold(delivery, now + alerts.HOLD, result)
    elif result.action == Action.UNKNOWN:
        _fail(delivery, everyone, replace(result, code="unknown"), now, Status.UNKNOWN)
    else:
        _fail(delivery, everyone, result, now)


def give_up_on(delivery: Delivery, *, now: datetime) -> None:
    """Its worker died on the way: nobody knows whether the platform took it."""
    _fail(delivery, _everyone(delivery), _DIED, now, Status.UNKNOWN)


def _everyone(delivery: Delivery) -> list[Message]:
    """Its message, and those whose texts it takes along."""
    return [delivery.message, *(one.message for one in delivery.carries.select_related("message"))]


def _pause_s(delivery: Delivery, result: Result) -> float:
    """As the platform asks, else as the ladder says; never all at the same moment."""
    least = PAUSES_S[min(delivery.attempts, len(PAUSES_S)) - 1]
    if result.retry_after_s is not None:
        least = min(max(result.retry_after_s, 0.5), LONGEST_S)
    return least * random.uniform(1.0, 1.25)  # noqa: S311  spreads load, guards nothing


def _settle_window(job: Job, outcome: Outcome, now: datetime) -> None:
    if job.window is None:
        return
    maybe = outcome.stopped is not None and outcome.stopped.action == Action.UNKNOWN
    used = outcome.done - job.delivery.parts_done + maybe
    windows.settle(job.window, reserved=job.reserved, used=used)
    if outcome.stopped and outcome.stopped.action == Action.WINDOW_CLOSED:
        windows.close(job.delivery.identity, now=now)


def _fail(
    delivery: Delivery,
    everyone: Sequence[Message],
    result: Result,
    now: datetime,
    status: Delivery.Status = Status.FAILED,
) -> None:
    code = result.code or result.action.value
    for message in everyone:
        messages.mark_failed(message, code=code, detail=result.detail)
    line.leave(delivery, status, now=now, code=code, detail=result.detail)
