"""The administration: who may enter, and how it is laid out."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from tickets import policy


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
    ) -> HttpResponse:
        """The one log-in of the house, with its lock and its second factor."""
        if request.method == "GET" and request.user.is_authenticated:
            if not self.has_permission(request):
                raise PermissionDenied
            return redirect("admin:index")
        from kefu.accounts.views import LogIn  # app ready: unfold builds the site before the models

        return LogIn.as_view(next_page="admin:index")(request)

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from kefu.accounts.views import LogOut  # app ready

        return LogOut.as_view()(request)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("password_change")

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Colours come from static/css/admin.css: a style element would need a weaker CSP."""
        return {**super().each_context(request), "colors": {}}
