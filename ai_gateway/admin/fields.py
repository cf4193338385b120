"""Form fields that several of these pages use."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from ai_gateway.models import Endpoint
from ai_gateway.models.routing_rule import RULES


class LinesField(forms.CharField):
    """A list of strings, one a line. `rows` is how many lines it shows."""

    def __init__(self, *, rows: int = 10, **values: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": rows})
        super().__init__(required=False, widget=widget, **values)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


def endpoint_choices(*more: tuple[str, Any], kept: str = "") -> list[tuple[str, Any]]:
    """Every endpoint by its slug, after `more`; `kept` too, where it is there no longer."""
    slugs = list(Endpoint.objects.order_by("slug").values_list("slug", flat=True))
    known = {*slugs, *(value for value, _label in more)}
    gone = [kept] if kept and kept not in known else []
    return [*more, *((slug, slug) for slug in [*slugs, *gone])]


def require_endpoints(slugs: Any) -> None:
    """Raise ValidationError unless each of these is an endpoint or `rules`."""
    wanted = set(slugs) - {RULES}
    known = set(Endpoint.objects.filter(slug__in=wanted).values_list("slug", flat=True))
    if unknown := sorted(wanted - known):
        raise forms.ValidationError(_("没有这个接口：%(slug)s"), params={"slug": unknown[0]})
