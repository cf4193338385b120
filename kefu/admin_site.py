"""The administration: who may enter, and how it is laid out."""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from kefu import notices
from tickets import policy

# The groups of the menu and what stands in them, as app_model; what is not there is left out.
NAVIGATION: list[tuple[Any, list[tuple[str, str]]]] = [
    (
        _("渠道与接入"),
        [
            ("tickets_inbox", "hub"),
            ("tickets_envelope", "mail"),
            ("channels_adapters_delivery", "outbox"),
            ("channels_adapters_alert", "notification_important"),
            ("channels_adapters_pullcursor", "sync"),
        ],
    ),
    (
        _("客服与权限"),
        [("auth_user", "person"), ("agents_agent", "support_agent"), ("tickets_team", "groups")],
    ),
    (_("分配与排队"), [("agents_assignmentreceipt", "alt_route")]),
    (_("服务时间与时限"), [("tickets_businesshours", "schedule")]),
    (
        _("机器人与 AI"),
        [
            ("ai_gateway_live", "speed"),
            ("ai_gateway_endpoint", "smart_toy"),
            ("ai_gateway_routingrule", "fork_right"),
            ("ai_gateway_degradepolicy", "shield"),
            ("ai_gateway_drill", "emergency_heat"),
            ("ai_gateway_answerrule", "rule"),
            ("ai_gateway_intent", "psychology"),
            ("ai_gateway_article", "menu_book"),
            ("ai_gateway_sensitivelist", "block"),
            ("ai_gateway_attempt", "history"),
            ("ai_gateway_shadow", "contrast"),
            ("ai_gateway_shadowanswer", "compare_arrows"),
            ("ai_gateway_regressioncase", "checklist"),
            ("ai_gateway_thread", "memory"),
        ],
    ),
    (_("内容"), [("agents_quickreply", "bolt"), ("tickets_label", "label")]),
    (
        _("集成"),
        [
            ("tickets_apikey", "key"),
            ("tickets_webhook", "webhook"),
            ("tickets_webhookdelivery", "outgoing_mail"),
        ],
    ),
    (
        _("数据与合规"),
        [
            ("tickets_conversation", "forum"),
            ("tickets_message", "chat"),
            ("tickets_contact", "contacts"),
            ("tickets_identitylink", "link"),
            ("tickets_ticket", "confirmation_number"),
            ("tickets_rating", "thumb_up"),
            ("tickets_attachment", "attach_file"),
        ],
    ),
    (_("系统"), [("admin_logentry", "manage_search")]),
]

# Pages of the menu that are no list of rows.
PAGES: dict[str, Any] = {"ai_gateway_live": _("AI 实时")}


def stylesheet(_request: HttpRequest) -> str:
    return static("css/admin.css")


def script(_request: HttpRequest) -> str:
    return static("js/admin.js")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu for UNFOLD["SIDEBAR"]: the pages that exist, by group."""
    groups = []
    for title, models in NAVIGATION:
        items = [item for model, icon in models if (item := _menu_item(model, icon))]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _menu_item(model: str, icon: str) -> dict[str, Any] | None:
    if model in PAGES:
        return {"title": PAGES[model], "icon": icon, "link": reverse(f"admin:{model}")}
    try:
        link = reverse(f"admin:{model}_changelist")
    except NoReverseMatch:
        return None
    app_label, _separator, name = model.rpartition("_")
    meta = apps.get_model(app_label, name)._meta
    return {"title": meta.verbose_name_plural, "icon": icon, "link": link}


class KefuAdminSite(UnfoldAdminSite):
    """For people of the role admin; auditors may look. The role decides, not `is_staff`.

    What they may do within are the model permissions of their role (kefu.accounts.roles).
    """

    index_title = _("管理")

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return False
        return user.is_superuser or policy.principal_of(user).sees_all

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """The one log-in of the house, with its lock and its second factor."""
        if request.method == "GET" and request.user.is_authenticated:
            if not self.has_permission(request):
                raise PermissionDenied
            return redirect("admin:index")
        from kefu.accounts.views import LogIn  # app ready: unfold builds the site before the models

        return LogIn.as_view(next_page="admin:index")(request)

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        from kefu.accounts.views import LogOut  # app ready

        return LogOut.as_view()(request)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("password_change")

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Colours come from static/css/admin.css: a style element would need a weaker CSP."""
        inside = self.has_permission(request)
        return {
            **super().each_context(request),
            "colors": {},
            "running_drills": _running_drills() if inside else [],
            "unhealthy_hooks": _unhealthy_hooks() if inside else [],
            "inbox_alerts": notices.inbox_alerts() if inside else [],
        }


def _running_drills() -> list[Any]:
    from ai_gateway.models import Drill  # app ready: unfold builds the site before the models

    return list(Drill.objects.running(timezone.now()).order_by("ends_at"))


def _unhealthy_hooks() -> list[Any]:
    from tickets.models import Webhook  # app ready: unfold builds the site before the models

    return list(Webhook.objects.unhealthy_at(timezone.now()).order_by("failing_since"))
