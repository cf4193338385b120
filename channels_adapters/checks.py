"""System checks: each adapter imports and fits the protocol."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from channels_adapters import registry
from channels_adapters.capabilities import Capabilities

_FUNCTIONS = ("verify", "parse", "build_send", "classify")


@register()
def adapters_fit(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One for each adapter that cannot be used, naming why: an error of ours stops the house, a
    stranger's package is only warned of.
    """
    brought = registry.brought()
    return [
        Warning(f"channel adapter {name!r}: {why}", id="channels_adapters.W001")
        if name in brought
        else Error(f"channel adapter {name!r}: {why}", id="channels_adapters.E001")
        for name in registry.names()
        if (why := _why_unfit(name))
    ]


def _why_unfit(name: str) -> str:
    if why := registry.why_no_name(name):
        return why
    try:
        adapter = registry.adapter_class(name)
    except Exception as error:  # an outermost edge: a stranger's module may raise anything
        return f"cannot be imported: {error}"
    if not isinstance(getattr(adapter, "channel", None), str):
        return "has no `channel`"
    if not isinstance(getattr(adapter, "capabilities", None), Capabilities):
        return "has no `capabilities`"
    missing = [function for function in _FUNCTIONS if not callable(getattr(adapter, function, 0))]
    return f"has no {', '.join(missing)}" if missing else ""
