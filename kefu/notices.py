"""What administrators are told on every page of theirs, and in their console."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

MOST = 5  # banners on a page; the list of alerts has all


@dataclass(frozen=True)
class Notice:
    """One inbox that does not work; `url` is where it is mended."""

    inbox: str
    text: str
    url: str


def inbox_alerts() -> list[Notice]:
    """The alerts that stand, the oldest first."""
    from channels_adapters import (
        inbox_health,
    )  # app ready: unfold builds the site before the models
    from channels_adapters.models import Alert  # app ready

    rows = Alert.objects.open().select_related("inbox").order_by("since")[:MOST]
    return [
        Notice(
            alert.inbox.name,
            inbox_health.in_words(alert).text,
            reverse("admin:tickets_inbox_change", args=[alert.inbox_id]),
        )
        for alert in rows
    ]


def of_page(request: HttpRequest) -> dict[str, Callable[[], list[Notice]]]:
    """For templates: asked of the database only by a page that shows it."""
    return {"open_alerts": inbox_alerts}
