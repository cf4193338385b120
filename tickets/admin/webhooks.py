"""Outgoing hooks: the secret is shown once, in the answer that makes it; and their deliveries."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from tickets.admin.base import KefuAdmin, ReadOnlyAdmin
from tickets.models import Webhook, WebhookDelivery
from tickets.models.feed_event import EventName
from tickets.services import webhooks

LABELS = {
    Webhook.State.WELL: "success",
    Webhook.State.FAILING: "warning",
    Webhook.State.UNHEALTHY: "danger",
}


class WebhookForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        label=_("事件"),
        choices=EventName.choices,
        initial=EventName.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )

    class Meta:
        model = Webhook
        fields = ["url", "events", "enabled"]


@admin.register(Webhook)
class WebhookAdmin(KefuAdmin):
    form = WebhookForm
    list_display = ("url", "shows_state", "failing_since", "last_success_at", "created_at")
    list_filter = ("enabled",)
    search_fields = ("url",)
    fields = (
        "url", "events", "enabled", "shows_state", "failing_since", "last_success_at",
    )  # fmt: skip
    readonly_fields = ("shows_state", "failing_since", "last_success_at")
    ordering = ("-pk",)
    actions_detail = ("show_deliveries",)
    actions_submit_line = ("try_out", "renew_secret")

    @display(description=_("状态"), label=LABELS)
    def shows_state(self, hook: Webhook) -> tuple[str, Any]:
        state = hook.state_at(timezone.now())
        return state, state.label

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.cleaned_data}
        if change:
            webhooks.change(obj, **{name: values[name] for name in form.changed_data})
        else:
            made, obj.new_secret = webhooks.create(**values, created_by=request.user.pk)
            obj.pk = made.pk

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_secret(request, obj, obj.new_secret)

    def _show_secret(self, request: HttpRequest, hook: Webhook, secret: str) -> HttpResponse:
        """The secret in this answer and nowhere else: no message, no session, no log has it."""
        context = {
            **self.admin_site.each_context(request),
            "secret": secret,
            "title": hook.url,
        }
        response = render(request, "admin/webhook_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """What the buttons beside "save" do, after what was changed is saved."""
        for button in self.get_actions_submit_line(request, obj.pk):
            if button.action_name in request.POST:
                answer: HttpResponse = button.method(request, obj)
                return answer
        return super().response_change(request, obj)

    @action(description=_("发送测试"), permissions=["change"])
    def try_out(self, request: HttpRequest, hook: Webhook) -> HttpResponse:
        if not hook.enabled:
            self.message_user(request, gettext("请先启用，再发送测试。"), messages.WARNING)
            return HttpResponseRedirect(request.path)
        delivery = webhooks.send_test(hook, now=timezone.now())
        self.message_user(request, gettext("测试事件已排队，几秒后刷新本页查看结果。"))
        return HttpResponseRedirect(
            reverse("admin:tickets_webhookdelivery_change", args=[delivery.pk])
        )

    @action(description=_("更换密钥"), permissions=["change"])
    def renew_secret(self, request: HttpRequest, hook: Webhook) -> HttpResponse:
        secret = webhooks.renew_secret(hook)
        self.log_change(request, hook, [{"changed": {}}, {"diff": {"secret": ["…", "…"]}}])
        return self._show_secret(request, hook, secret)

    @action(description=_("投递记录"), permissions=["view"])
    def show_deliveries(self, request: HttpRequest, object_id: int) -> HttpResponse:
        rows = reverse("admin:tickets_webhookdelivery_changelist")
        return HttpResponseRedirect(f"{rows}?webhook__id__exact={object_id}")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """What became of each event on its way to a hook."""

    list_display = (
        "event_id", "event", "webhook", "shows_status", "attempts", "last_result",
        "next_attempt_at", "created_at",
    )  # fmt: skip
    list_select_related = ("webhook",)
    list_filter = ("status", "webhook", "event")
    search_fields = ("=event_id",)
    fields = (
        "event_id", "event", "webhook", "status", "attempts", "next_attempt_at", "delivered_at",
        "happened_at", "created_at", "history",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-pk",)
    actions = ("replay",)

    @display(
        description=_("状态"),
        ordering="status",
        label={"pending": "info", "delivered": "success", "dead": "danger"},
    )
    def shows_status(self, delivery: WebhookDelivery) -> tuple[str, str]:
        return delivery.status, delivery.get_status_display()

    @display(description=_("最近结果"))
    def last_result(self, delivery: WebhookDelivery) -> str:
        return _result(delivery.log[-1]) if delivery.log else "—"

    @display(description=_("投递记录"))
    def history(self, delivery: WebhookDelivery) -> str:
        lines = ((entry["at"], _result(entry), entry["ms"]) for entry in delivery.log)
        return format_html_join("\n", "<div>{} {} ({} ms)</div>", lines) or "—"

    @admin.action(description=_("重新发送所选投递"), permissions=["act"])
    def replay(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        count = 0
        for delivery in rows:
            webhooks.replay(delivery, now=timezone.now())
            self.log_change(request, delivery, [{"changed": {}}, {"diff": {"replay": ["", "✓"]}}])
            count += 1
        text = ngettext("已重新排队 %(n)s 次投递", "已重新排队 %(n)s 次投递", count)
        self.message_user(request, text % {"n": count}, messages.SUCCESS)


def _result(entry: dict[str, Any]) -> str:
    """HTTP's status, or why there is none."""
    return str(entry["status"] or entry["error"])
