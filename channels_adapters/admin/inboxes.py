"""接入点, with how each is, the steps of connecting it, and what its channel can carry."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from channels_adapters import checking, inbox_health, registry
from channels_adapters.admin import inbox_words
from channels_adapters.words_of_health import of_check
from tickets.admin.inboxes import InboxAdmin
from tickets.models import Inbox

admin.site.unregister(Inbox)  # the ground's page knows nothing of this wing

PAGE_HEALTH = "kefu_inbox_health"


@admin.register(Inbox)
class InboxWithHealthAdmin(InboxAdmin):
    change_form_outer_before_template = "admin/inbox_health.html"
    list_display: tuple[str, ...] = (
        "name",
        "type",
        "shows_health",
        "reason",
        *InboxAdmin.list_display[2:],
    )

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view
        return [
            path("<int:pk>/health/", wrapped(self.health_state), name="tickets_inbox_health"),
            path("<int:pk>/check/", wrapped(self.check_credentials), name="tickets_inbox_check"),
            *super().get_urls(),
        ]

    # The list --------------------------------------------------------------------------------

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The health of a page's inboxes is read for all of them together."""
        changelist = super().get_changelist_instance(request)
        rows: Sequence[Inbox] = list(changelist.result_list)
        found = inbox_health.of_many(rows, now=timezone.now())
        for row in rows:
            setattr(row, PAGE_HEALTH, found[row.pk])
        changelist.result_list = rows
        return changelist

    @display(
        description=_("状态"),
        label={"green": "success", "amber": "warning", "red": "danger", "off": "info"},
    )
    def shows_health(self, inbox: Inbox) -> tuple[str, str]:
        level = getattr(inbox, PAGE_HEALTH).level
        return level.value, inbox_words.level(level)

    @display(description=_("原因"))
    def reason(self, inbox: Inbox) -> str:
        findings = getattr(inbox, PAGE_HEALTH).findings
        return findings[0].text if findings else "—"

    # The page of one -------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        inbox = self.get_object(request, object_id)
        more = self._card(request, inbox) if isinstance(inbox, Inbox) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _card(self, request: HttpRequest, inbox: Inbox) -> dict[str, Any]:
        has_callback = _has_callback(inbox)
        return {
            "health": inbox_words.card(inbox, now=timezone.now()),
            "steps": inbox_words.steps(inbox) if has_callback else [],
            "callback": self.callback_url(inbox) if has_callback else "",
            "tokens": inbox_words.tokens_to_copy(inbox),
            "capabilities": inbox_words.capabilities(inbox),
            "may_check": registry.has_adapter(inbox.type)
            and self.has_change_permission(request, inbox),
            "words": inbox_words.for_script(),
        }

    def health_state(self, request: HttpRequest, pk: int) -> HttpResponse:
        """{level, findings, facts, steps}: asked every two seconds by the open page."""
        inbox = self._found(pk, self.has_view_permission(request))
        answer = {
            "health": inbox_words.card(inbox, now=timezone.now()),
            "steps": inbox_words.steps(inbox) if _has_callback(inbox) else [],
        }
        return JsonResponse(answer, headers={"Cache-Control": "no-store"})

    def check_credentials(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask the platform: {verdict, text, todo}; the text has the platform's own code."""
        inbox = self._found(pk, self.has_change_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        checked = checking.check(inbox, now=timezone.now())
        advice = of_check(checked)
        self.log_change(
            request, inbox, [{"changed": {}}, {"diff": {"check": ["", checked.verdict.value]}}]
        )
        said = {"verdict": checked.verdict.value, "text": advice.text, "todo": advice.todo}
        return JsonResponse(said, headers={"Cache-Control": "no-store"})

    def _found(self, pk: int, may: bool) -> Inbox:
        if not may:
            raise PermissionDenied
        inbox = Inbox.objects.filter(pk=pk).first()
        if inbox is None:
            raise Http404
        return inbox


def _has_callback(inbox: Inbox) -> bool:
    """Whether a platform calls /hooks/ for it; mail is fetched, the generic channel has the API."""
    is_called = inbox.type != Inbox.Type.EMAIL and not inbox.is_read_by_clients
    return is_called and registry.has_adapter(inbox.type)
