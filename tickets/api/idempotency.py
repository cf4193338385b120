"""The same POST twice is one: the first answer is kept for a day and given again.

The record is written in the transaction of the work, so a crash leaves neither, and a twin
that runs at the same time waits at the unique index until the first one has its answer.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from tickets.api.auth import KeyAuth
from tickets.api.errors import Conflict
from tickets.models import IdempotencyRecord
from tickets.models.api_key import KEPT_FOR

HEADER = "Idempotency-Key"
# Said before any work began: the same key may be used for a better try.
NOT_KEPT = frozenset({400, 401, 403, 429})


class _Refused(Exception):
    """Undoes what a refused request had written, and carries its answer out."""

    def __init__(self, response: Response) -> None:
        self.response = response


def key_of(request: Request) -> str | None:
    """The request's Idempotency-Key, None without one. Raises ValidationError for a bad one."""
    key: str | None = request.headers.get(HEADER)
    if key is None:
        return None
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise exceptions.ValidationError({HEADER: "1 to 255 printable ASCII characters"})
    return key


def owner_of(request: Request) -> str:
    if isinstance(request.auth, KeyAuth):
        return f"key:{request.auth.key.pk}"
    return f"user:{request.user.pk}"


def run_once(
    request: Request, key: str, work: Callable[[], Response], *, now: datetime
) -> Response:
    """The answer of `work`, which runs unless a POST with this key had its answer before.

    `work` turns its errors into responses. Raises Conflict where the key came with other content.
    """
    owner, fingerprint = owner_of(request), _fingerprint(request)
    with transaction.atomic():
        IdempotencyRecord.objects.filter(owner=owner, created_at__lt=now - KEPT_FOR).delete()
        record, is_first = IdempotencyRecord.objects.get_or_create(
            owner=owner, key=key, defaults={"fingerprint": fingerprint, "created_at": now}
        )
        if not is_first:
            return _again(record, fingerprint)
        response = _work_or_undo(work)
        _keep(record, response)
    return response


def _again(record: IdempotencyRecord, fingerprint: str) -> Response:
    if record.fingerprint != fingerprint:
        raise Conflict("idempotency_key_reused", f"this {HEADER} was sent with another request")
    return Response(
        record.answer["data"], status=record.status, headers={"Idempotent-Replayed": "true"}
    )


def _work_or_undo(work: Callable[[], Response]) -> Response:
    try:
        with transaction.atomic():
            response = work()
            if response.status_code >= 400:
                raise _Refused(response)
    except _Refused as refused:
        return refused.response
    return response


def _keep(record: IdempotencyRecord, response: Response) -> None:
    if response.status_code >= 500 or response.status_code in NOT_KEPT or response.streaming:
        record.delete()
        return
    record.status = response.status_code
    # By DRF's own encoder, so that the second answer is the first one to the byte.
    record.answer = {"data": json.loads(json.dumps(response.data, cls=JSONEncoder))}
    record.save(update_fields=["status", "answer"])


def _fingerprint(request: Request) -> str:
    """What makes two requests the same: method, address and the meaning of the body."""
    data = request.data
    fields = {name: data.getlist(name) for name in data} if hasattr(data, "getlist") else data
    body = json.dumps(fields, sort_keys=True, default=_file_digest)
    text = f"{request.method} {request.get_full_path()}\n{body}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _file_digest(file: Any) -> str:
    if not isinstance(file, UploadedFile):
        raise TypeError(type(file).__name__)
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return f"{file.name}:{digest.hexdigest()}"
