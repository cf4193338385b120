"""The pages of one's own account: name, language, and the second factor."""

import io
from typing import Any

import qrcode
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_otp import login as otp_login
from qrcode.image.svg import SvgPathImage

from kefu.accounts import pending, second_factor
from kefu.accounts.forms import CodeForm, NameForm, PasswordAgainForm


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Name and language; links to the password and the second factor."""
    assert isinstance(request.user, User)
    form = NameForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("已保存"))
        return redirect("account")
    has_factor = second_factor.confirmed(request.user) is not None
    return render(request, "registration/account.html", {"form": form, "has_factor": has_factor})


@never_cache
@require_GET
def two_factor(request: HttpRequest) -> HttpResponse:
    """On or off; where it is off, how to turn it on."""
    user = _subject(request)
    return _two_factor_page(request, user) if user else redirect("login")


@never_cache
@require_GET
def qr_code(request: HttpRequest) -> HttpResponse:
    """The picture to scan while setting up; afterwards nobody can see it again."""
    user = _subject(request)
    if user is None or second_factor.confirmed(user):
        raise Http404
    picture = io.BytesIO()
    qrcode.make(
        second_factor.pending(user).uri, image_factory=SvgPathImage, box_size=12, border=2
    ).save(picture)
    return HttpResponse(picture.getvalue(), content_type="image/svg+xml")


@never_cache
@require_POST
def two_factor_enable(request: HttpRequest) -> HttpResponse:
    """A code of the new app turns it on; the recovery codes are shown in this answer only."""
    user = _subject(request)
    if user is None:
        return redirect("login")
    if second_factor.confirmed(user):
        return redirect("two_factor")
    form = CodeForm(request.POST)
    codes = second_factor.confirm(user, form.cleaned_data["token"]) if form.is_valid() else []
    if not codes:
        form.add_error("token", _("验证码不正确。请输入应用中最新的 6 位数字。"))
        return _two_factor_page(request, user, code_form=form)
    device = second_factor.confirmed(user)
    onward = resolve_url("account")
    if request.user.is_authenticated:
        otp_login(request, device)
    else:
        onward = pending.finish(request, user, device) or resolve_url(settings.LOGIN_REDIRECT_URL)
    return render(request, "registration/recovery_codes.html", {"codes": codes, "onward": onward})


@never_cache
@login_required
@require_POST
@sensitive_post_parameters("password")
def two_factor_disable(request: HttpRequest) -> HttpResponse:
    """Off again, for the password; not where the operator requires it."""
    assert isinstance(request.user, User)
    form = PasswordAgainForm(request, request.POST)
    if settings.REQUIRE_TWO_FACTOR or not form.is_valid():
        return _two_factor_page(request, request.user, password_form=form)
    second_factor.remove(request.user)
    messages.success(request, _("两步验证已关闭"))
    return redirect("two_factor")


@never_cache
@login_required
@require_POST
@sensitive_post_parameters("password")
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new codes for the password; the old ones end."""
    assert isinstance(request.user, User)
    form = PasswordAgainForm(request, request.POST)
    if not form.is_valid() or not second_factor.confirmed(request.user):
        return _two_factor_page(request, request.user, password_form=form)
    context = {
        "codes": second_factor.new_recovery_codes(request.user),
        "onward": resolve_url("account"),
    }
    return render(request, "registration/recovery_codes.html", context)


def _subject(request: HttpRequest) -> User | None:
    """Who is in, or who would be in but for the second factor that they still have to set up."""
    if isinstance(request.user, User):
        return request.user
    user = pending.user_of(request)
    # Whoever has one already must prove it, not replace it.
    return None if user is None or second_factor.confirmed(user) else user


def _two_factor_page(
    request: HttpRequest,
    user: User,
    *,
    code_form: CodeForm | None = None,
    password_form: PasswordAgainForm | None = None,
) -> HttpResponse:
    is_on = second_factor.confirmed(user) is not None
    context: dict[str, Any] = {
        "is_on": is_on,
        "required": settings.REQUIRE_TWO_FACTOR,
        "codes_left": second_factor.recovery_codes_left(user) if is_on else 0,
        "secret": "" if is_on else second_factor.pending(user).secret,
        "code_form": code_form or CodeForm(),
        "password_form": password_form or PasswordAgainForm(request),
    }
    failed = bool(code_form or password_form)
    return render(request, "registration/two_factor.html", context, status=400 if failed else 200)
