"""信封: what platforms handed in, and what could not be taken in."""

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from channels_adapters import inbound
from tickets.admin.base import ReadOnlyAdmin
from tickets.models import Envelope
from tickets.models.envelope import EnvelopeQuerySet


@admin.register(Envelope)
class EnvelopeAdmin(ReadOnlyAdmin):
    """Not the payload: it holds what people said, and tokens."""

    list_display = (
        "source_id", "inbox", "kind", "lane", "status", "attempts", "error", "created_at",
    )  # fmt: skip
    list_select_related = ("inbox",)
    list_filter = ("status", "kind", "inbox")
    search_fields = ("=source_id", "=trace")
    ordering = ("-pk",)
    fields = (
        "source_id", "inbox", "kind", "lane", "trace", "status", "attempts", "error", "created_at",
    )  # fmt: skip
    actions = ("replay",)

    @action(description=_("重新处理失败的"), permissions=["act"])
    def replay(self, request: HttpRequest, rows: EnvelopeQuerySet) -> None:
        now = timezone.now()
        done = sum(inbound.replay(one, now=now) for one in rows.dead().select_related("inbox"))
        text = ngettext("已重新处理 %d 条", "已重新处理 %d 条", done) % done
        messages.success(request, text)
