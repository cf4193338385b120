"""Keys of programs: made, changed, withdrawn, and whom one speaks for."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Q

from tickets import policy
from tickets.models import ApiKey
from tickets.models.api_key import USED_RESOLUTION
from tickets.policy import Principal, Role
from tickets.services import audit


def create(
    *,
    name: str,
    scopes: Iterable[str],
    user: User | None = None,
    expires_at: datetime | None = None,
    per_minute: int = 600,
    created_by: int | None = None,
) -> tuple[ApiKey, str]:
    """The key's row and its token, which nobody can read again."""
    key = ApiKey(
        name=name,
        scopes=sorted(set(scopes)),
        user=user,
        expires_at=expires_at,
        per_minute=per_minute,
        created_by_id=created_by,
    )
    token = key.give_token()
    key.save(force_insert=True)
    audit.stored(key, None)
    return key, token


def find(token: str, *, now: datetime) -> ApiKey | None:
    """The valid key of this token; that it was used is noted once a minute at most."""
    key = ApiKey.objects.valid_at(now).with_token(token).select_related("user").first()
    if key:
        _note_use(key, now)
    return key


def _note_use(key: ApiKey, now: datetime) -> None:
    stale = now - USED_RESOLUTION
    if key.last_used_at is None or key.last_used_at < stale:
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=stale)
        ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


def principal_of(key: ApiKey) -> Principal:
    """A key that acts for somebody may at most what they may; any other sees all."""
    scopes = frozenset(key.scopes)
    if key.user is None:
        return Principal(None, Role.ADMIN, frozenset(), scopes)
    person = policy.principal_of(key.user)
    return Principal(person.user_id, person.role, person.team_ids, scopes & person.scopes)
