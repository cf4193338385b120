"""The one door for platforms: /hooks/<inbox key>/.

Nothing slow happens here: the signature, the parsing, one INSERT. All else is a worker's.
"""

import logging
from datetime import datetime

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from channels_adapters import inbound, pulse, registry
from channels_adapters.errors import BadMessage, HookRefused, Reason
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Challenge, HookRequest, Reply, Verified
from tickets.models import Inbox

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024  # bytes; platforms stay far below
METHODS = ("GET", "POST")


@csrf_exempt  # the platform's signature says who speaks
def receive_webhook(request: HttpRequest, inbox_key: str) -> HttpResponse:
    """Verify, keep, answer. 404 no such inbox, 413 too large, 400/401/403 not to be trusted."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    inbox = Inbox.objects.enabled().filter(key=inbox_key).first()
    if inbox is None or not registry.has_adapter(inbox.type):
        return HttpResponse("no such inbox", status=404, content_type="text/plain")
    adapter = registry.usable(inbox)
    if adapter is None:  # mended sooner or later: the platform comes again
        return HttpResponse("not now", status=503, content_type="text/plain")
    try:
        return _answer(_take(adapter, hook_of(request)))
    except RequestDataTooBig:
        return HttpResponse("too large", status=413, content_type="text/plain")
    except HookRefused as refusal:
        log.warning("hook of %s refused: %s", inbox.key, refusal)
        pulse.refused(inbox.pk, refusal.reason)
        return refused(refusal)


def refused(refusal: HookRefused) -> HttpResponse:
    """A stranger learns the reason alone; who proved who it is, where it went wrong."""
    told = str(refusal) if isinstance(refusal, BadMessage) else refusal.reason
    return HttpResponse(told, status=refusal.status, content_type="text/plain; charset=utf-8")


def _take(adapter: HttpAdapter, hook: HookRequest) -> Reply:
    now = timezone.now()
    if lacking := registry.missing(adapter, adapter.required):
        raise HookRefused(Reason.NOT_CONFIGURED, f"the inbox lacks {', '.join(lacking)}")
    outcome = _verified(adapter, hook, now)
    if isinstance(outcome, Challenge):
        pulse.challenged(adapter.account.inbox_id)
        return outcome.reply
    return _keep(adapter, outcome)


def _verified(adapter: HttpAdapter, hook: HookRequest, now: datetime) -> Verified | Challenge:
    try:
        return adapter.verify(hook, now=now)
    except HookRefused:
        raise
    except Exception as error:  # an outermost edge: what an adapter stumbles over is not trusted
        log.exception("%s cannot verify a request", adapter.channel)
        raise HookRefused(Reason.MALFORMED, type(error).__name__) from error


def _keep(adapter: HttpAdapter, verified: Verified) -> Reply:
    kept = inbound.accept(adapter, verified.payload, now=timezone.now())
    pulse.taken(adapter.account.inbox_id, len(kept))
    return verified.reply


def hook_of(request: HttpRequest) -> HookRequest:
    """Raises RequestDataTooBig, before the body is read where its length is told."""
    if len(request.body) > MAX_BODY:
        raise RequestDataTooBig
    return HookRequest(
        method=request.method or "",
        query_string=request.META.get("QUERY_STRING", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
    )


def _answer(reply: Reply) -> HttpResponse:
    return HttpResponse(reply.body, status=reply.status, content_type=reply.content_type)
