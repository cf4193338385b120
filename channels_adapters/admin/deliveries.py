"""投递: what goes out, how far it came, and what a person may send again."""

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display

from channels_adapters import line
from channels_adapters.models import Delivery
from channels_adapters.models.delivery import DeliveryQuerySet
from tickets.admin.base import ReadOnlyAdmin


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "place", "inbox", "identity", "status", "attempts", "code", "detail", "next_at", "done_at",
    )  # fmt: skip
    list_select_related = ("inbox", "identity", "message")
    list_filter = ("status", "inbox")
    search_fields = ("=message__public_id", "=identity__external_id")
    ordering = ("-pk",)
    fields = (
        "place", "inbox", "identity", "status", "attempts", "parts_done", "code", "detail",
        "next_at", "created_at", "done_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("send_again",)

    @display(description=_("会话"))
    def place(self, delivery: Delivery) -> str:
        return f"#{delivery.message.conversation_id} · {delivery.message.seq}"

    @action(description=_("重新发送（结果未知的可能重复）"), permissions=["act"])
    def send_again(self, request: HttpRequest, rows: DeliveryQuerySet) -> None:
        now = timezone.now()
        waiting = rows.dead().select_related("message")
        done = sum(line.send_again(delivery, now=now) for delivery in waiting)
        text = ngettext("%d 条重新排队", "%d 条重新排队", done) % done
        messages.success(request, text)
