"""A visitor's upload, with the token of their socket's `ready`."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from channels_adapters.webchat import session, tokens
from channels_adapters.webchat.limits import RateLimits
from tickets.models import ContactIdentity
from tickets.payloads import attachment_payload
from tickets.services import attachments

UPLOADS_A_MINUTE = 30
_limits = RateLimits()
_STATUS = {"too_large": 413, "unsupported": 415}


def _refusal(status: int, code: str, detail: str, attr: str | None = None) -> JsonResponse:
    kind = "validation_error" if status == 400 else "client_error"
    error = {"code": code, "detail": detail, "attr": attr}
    return JsonResponse({"type": kind, "errors": [error]}, status=status)


@csrf_exempt  # the token in the header is the credential; no cookie is read
@require_POST
def upload(request: HttpRequest, inbox_key: str) -> JsonResponse:
    """POST multipart `file` -> 201 {id, url, name, size, content_type}."""
    inbox = session.load_inbox(inbox_key)
    if inbox is None:
        return _refusal(404, "not_found", "no such inbox")
    identity = _bearer(request, inbox.pk)
    if identity is None:
        return _refusal(401, "not_authenticated", "the token of `ready` is missing or unknown")
    wait_s = _limits.retry_after_s((("upload", inbox.pk, str(identity.pk)), UPLOADS_A_MINUTE))
    if wait_s is not None:
        response = _refusal(429, "throttled", "too many uploads in a minute")
        response.headers["Retry-After"] = str(wait_s)
        return response
    file = request.FILES.get("file")
    if file is None:
        return _refusal(400, "required", "a file is required", "file")
    try:
        stored = attachments.store(file, name=file.name or "file", identity=identity)
    except (attachments.TooLarge, attachments.Unsupported) as error:
        return _refusal(_STATUS[error.code], error.code, str(error), "file")
    return JsonResponse(attachment_payload(stored), status=201)


def _bearer(request: HttpRequest, inbox_id: int) -> ContactIdentity | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return tokens.read(token.strip(), inbox_id=inbox_id) if scheme.lower() == "bearer" else None
