"""Log-in and log-out: a name, a password and, where there is one, the second factor."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.generic import FormView

from kefu.accounts import pending, second_factor
from kefu.accounts.forms import CodeForm, LogInForm, NewPasswordForm


class LogIn(LoginView):
    """The first step. A POST always asks anew; a GET by somebody who is in goes on."""

    form_class = LogInForm
    template_name = "registration/login.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        user: User = form.get_user()
        due = second_step(user)
        if due:
            pending.begin(self.request, user, next_url=self.get_success_url())
            return redirect(due)
        pending.log_in(self.request, user)
        return HttpResponseRedirect(self.get_success_url())


class LogOut(LogoutView):
    """POST only; to the log-in page."""

    http_method_names = ["post", "options"]
    next_page = "login"


def second_step(user: User) -> str:
    """The page that has to come before this person is in, "" for none."""
    if second_factor.confirmed(user):
        return "login_verify"
    return "two_factor" if settings.REQUIRE_TWO_FACTOR else ""


@method_decorator(never_cache, name="dispatch")
class Verify(FormView):
    """The second step: a code of the app, or a recovery code."""

    form_class = CodeForm
    template_name = "registration/verify.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = pending.user_of(request)
        if user is None:
            return redirect("login")
        self.user = user
        return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]

    def form_valid(self, form: CodeForm) -> HttpResponse:
        wait = second_factor.wait_s(self.user)
        if wait:
            return self._too_soon(form, wait)
        device = second_factor.verify(self.user, form.cleaned_data["token"])
        if device is None:
            form.add_error("token", _("验证码不正确。请输入最新的 6 位数字，或一个恢复码。"))
            return self.form_invalid(form)
        return HttpResponseRedirect(
            pending.finish(self.request, self.user, device)
            or resolve_url(settings.LOGIN_REDIRECT_URL)
        )

    def _too_soon(self, form: CodeForm, wait: int) -> HttpResponse:
        text = _("尝试过于频繁。请 %(seconds)s 秒后再试。") % {"seconds": wait}
        form.add_error("token", text)
        response = self.render_to_response(self.get_context_data(form=form), status=429)
        response["Retry-After"] = str(wait)
        return response


class ChangePassword(PasswordChangeView):
    """A new password; this session stays, all others of this person end."""

    form_class = NewPasswordForm
    template_name = "registration/password.html"
    success_url = reverse_lazy("account")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Named by CSRF_FAILURE_VIEW: a form that is too old, or is not ours."""
    return render(request, "registration/csrf.html", status=403)
