"""The degrade policies of the database, by endpoint, kept until one changes."""

from collections.abc import Mapping

from ai_gateway.kept import Kept
from ai_gateway.limits import Policy
from ai_gateway.models import DegradePolicy
from ai_gateway.models.degrade_policy import THRESHOLDS


def _read() -> Mapping[str, Policy]:
    return {row.endpoint: _of(row) for row in DegradePolicy.objects.enabled()}


def _of(row: DegradePolicy) -> Policy:
    return Policy(
        name=row.name,
        divert=row.divert,
        resume_at=row.resume_at,
        exempt_intents=frozenset(row.exempt_intents),
        **{name: getattr(row, name) for name in THRESHOLDS},
    )


_policies = Kept(DegradePolicy, _read)


def current() -> Mapping[str, Policy]:
    """Endpoint slug -> its policy, as they stand now."""
    return _policies.current()
