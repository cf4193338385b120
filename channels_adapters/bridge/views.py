"""/hooks/<inbox key>/outbox/: a bridge that has no address of its own comes for our answers."""

import threading
import time
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from channels_adapters import registry
from channels_adapters.bridge import outbox
from channels_adapters.bridge.adapter import Bridge
from channels_adapters.errors import BadMessage, HookRefused, Reason
from channels_adapters.views import hook_of, refused
from tickets.models import Inbox

MOST = 100
WAIT_AT_MOST_S = 25
STEP_S = 0.5
_waiting = threading.BoundedSemaphore(8)  # of one process: each holds a thread


@csrf_exempt  # the bridge's signature says who speaks
@require_GET
def pull(request: HttpRequest, inbox_key: str) -> HttpResponse:
    """`?limit=` answers, after `?wait=` seconds at most. 404 no such inbox, 401/403 not its own."""
    inbox = Inbox.objects.enabled().filter(key=inbox_key, type=Inbox.Type.API).first()
    if inbox is None:
        return HttpResponse("no such inbox", status=404, content_type="text/plain")
    adapter, hook = Bridge(registry.account_of(inbox)), hook_of(request)
    try:
        if registry.missing(adapter, adapter.required):
            raise HookRefused(Reason.NOT_CONFIGURED, "the inbox has no secret")
        adapter.require_caller(hook, now=timezone.now())
        if not adapter.is_fetched_from:
            raise BadMessage("answers of this inbox go to its base_url")
        limit = _number(hook.query, "limit", default=50, low=1, high=MOST)
        wait_s = _number(hook.query, "wait", default=0, low=0, high=WAIT_AT_MOST_S)
    except HookRefused as refusal:
        return refused(refusal)
    return JsonResponse({"messages": _answers(inbox, limit, wait_s)})


def _number(query: dict[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = query.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) <= 4 and low <= int(text) <= high:
        return int(text)
    raise BadMessage(f"{name}: a whole number from {low} to {high} is expected")


def _answers(inbox: Inbox, limit: int, wait_s: int) -> list[dict[str, Any]]:
    found = outbox.fetch(inbox, limit=limit)
    if found or not wait_s or not _waiting.acquire(blocking=False):
        return found
    try:
        return _await(inbox, limit, time.monotonic() + wait_s)
    finally:
        _waiting.release()


def _await(inbox: Inbox, limit: int, until: float) -> list[dict[str, Any]]:
    """Looks again every half second; between two looks it holds no connection."""
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < until:
        if not connection.in_atomic_block:
            connection.close()
        time.sleep(STEP_S)
        found = outbox.fetch(inbox, limit=limit)
    return found
