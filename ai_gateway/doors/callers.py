"""Who knocks, and whether they may: a key's rights and its limit, in one step off the loop."""

from dataclasses import dataclass

from django.utils import timezone
from rest_framework import exceptions

from ai_gateway import database
from ai_gateway.recent import Recent
from tickets.api import limits
from tickets.api.auth import KeyAuth, bearer_token
from tickets.api.limits import Allowance
from tickets.policy import Principal
from tickets.services import api_keys

SCOPE = "ai"
MAX_TOKEN = 200  # characters; ours have 48


@dataclass(frozen=True)
class Caller:
    """Somebody with a valid key. `owner` is whose the idempotency keys are."""

    principal: Principal
    owner: str

    def must_have_scope(self) -> None:
        """Raises PermissionDenied."""
        if SCOPE not in self.principal.scopes:
            raise exceptions.PermissionDenied()


@dataclass(frozen=True)
class Admission:
    """The caller, or None where there is no good key; and what is left of the limit."""

    caller: Caller | None
    allowance: Allowance

    def demanded(self) -> Caller:
        """The caller, who may ask. Raises the refusals of `tickets.api`."""
        if self.allowance.exceeded:
            raise exceptions.Throttled(self.allowance.reset_s)
        if self.caller is None:
            raise exceptions.AuthenticationFailed()
        self.caller.must_have_scope()
        return self.caller


async def admit(authorization: str, address: str) -> Admission:
    """Count one request, also of those who are then turned away."""
    return await database.run(_admit, bearer_token(authorization) or "", address)


def _admit(token: str, address: str) -> Admission:
    auth = _keys.get(token) if token and len(token) <= MAX_TOKEN else None
    if not isinstance(auth, KeyAuth):
        return Admission(None, limits.spend(f"address:{address}", limits.DEFAULT_PER_MINUTE))
    owner = f"key:{auth.key.pk}"
    return Admission(Caller(auth.principal, owner), limits.spend(owner, auth.key.per_minute))


def _find(token: str) -> KeyAuth | bool:
    """False for no good key: that, too, is known for a moment."""
    key = api_keys.find(token, now=timezone.now())
    return KeyAuth(key, api_keys.principal_of(key)) if key else False


_keys = Recent(_find)
