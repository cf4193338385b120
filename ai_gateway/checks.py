"""System checks: each backend imports and fits the protocol."""

import inspect
from typing import Any

from django.core.checks import CheckMessage, Error, register

from ai_gateway import registry


@register()
def backends_fit(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One error for each backend that cannot be used, naming why."""
    return [
        Error(f"AI backend {name!r}: {why}", id="ai_gateway.E001")
        for name in registry.names()
        if (why := _why_unfit(name))
    ]


def _why_unfit(name: str) -> str:
    try:
        backend = registry.backend_class(name)
    except (ImportError, AttributeError) as error:
        return f"cannot be imported: {error}"
    if not isinstance(getattr(backend, "name", None), str):
        return "has no `name`"
    if not isinstance(getattr(backend, "required", None), tuple):
        return "has no tuple `required`"
    if not inspect.iscoroutinefunction(getattr(backend, "answer", None)):
        return "has no `async def answer`"
    return ""
