"""What the Graph API says to a call of ours."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from channels_adapters.wire import Action, HttpRequest, HttpResponse, Result

PAIR_RATE_S = 6.0  # between two messages to one person
_RETRY = {"130429", "4", "80007", "131000", "131016"}
_DEAD_TOKEN = {"190", "10", "200"}  # an operator has to look
_PAIR_RATE, _WINDOW = "131056", "131047"


def of_send(response: HttpResponse) -> Result:
    """The class of an answer: by its error code, else by its status."""
    said = response.document
    sent = said.get("messages")
    if response.status == 200 and isinstance(sent, list) and sent:
        return Result(Action.OK, platform_id=str(sent[0].get("id", "")))
    error = said.get("error")
    error = error if isinstance(error, dict) else {}
    code = str(error.get("code") or response.status)
    detail = str((error.get("error_data") or {}).get("details") or error.get("message") or "")
    if code == _WINDOW:
        return Result(Action.WINDOW_CLOSED, code=code, detail=detail)
    if code == _PAIR_RATE:
        return Result(Action.RETRY, retry_after_s=PAIR_RATE_S, code=code, detail=detail)
    if code in _RETRY or response.status >= 500 or (not error and response.status == 429):
        return Result(Action.RETRY, code=code, detail=detail)
    return Result(Action.PERMANENT, code=code, detail=detail, token_refused=code in _DEAD_TOKEN)


def is_about_media(response: HttpResponse, api: str) -> bool:
    """Whether the Graph API says where a file lies: the path of its version and a number alone."""
    there, base = urlsplit(response.url), urlsplit(api)
    rest = there.path.removeprefix(base.path).strip("/")
    return there.netloc == base.netloc and there.path.startswith(base.path) and "/" not in rest


def link_of(
    said: Mapping[str, Any], api: str, hosts: Sequence[str], headers: Mapping[str, str]
) -> HttpRequest | Result:
    """The call that fetches the file; our token goes to Meta's own hosts alone."""
    url = str(said.get("url") or "")
    parts = urlsplit(url)
    known = {urlsplit(api).netloc, *hosts}
    if parts.netloc not in known or parts.scheme not in ("https", urlsplit(api).scheme):
        return Result(Action.PERMANENT, code="foreign_host", detail=str(parts.hostname))
    return HttpRequest("GET", url, headers=headers)
