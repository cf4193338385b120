"""System checks: each adapter imports and fits the protocol."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from channels_adapters import registry
from channels_adapters.capabilities import Capabilities

_FUNCTIONS = ("verify", "parse", "build_send", "classify")


@register()
def adapters_fit(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One error for each adapter that cannot be used, naming why."""
    return [
        Error(f"channel adapter {name!r}: {why}", id="channels_adapters.E001")
        for name in registry.names()
        if (why := _why_unfit(name))
    ]


def _why_unfit(name: str) -> str:
    try:
        adapter = registry.adapter_class(name)
    except (ImportError, AttributeError) as error:
        return f"cannot be imported: {error}"
    if not isinstance(getattr(adapter, "channel", None), str):
        return "has no `channel`"
    if not isinstance(getattr(adapter, "capabilities", None), Capabilities):
        return "has no `capabilities`"
    missing = [function for function in _FUNCTIONS if not callable(getattr(adapter, function, 0))]
    return f"has no {', '.join(missing)}" if missing else ""
