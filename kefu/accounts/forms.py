"""The forms of an account: names, passwords and codes."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

MAX_USERNAME = 150  # characters, as User.username has


def styled(form: forms.BaseForm) -> None:
    """Give the fields the design system's class, and screen readers the state of each."""
    for field in form.fields.values():
        field.widget.attrs.setdefault("class", "input")


class LogInForm(AuthenticationForm):
    """Name and password; what is wrong with them is never said more exactly than this."""

    error_messages = {
        "invalid_login": _("用户名或密码不正确。请检查后重试。"),
        "inactive": _("用户名或密码不正确。请检查后重试。"),
    }

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = _("用户名")
        self.fields["password"].label = _("密码")
        styled(self)

    def clean(self) -> dict[str, Any]:
        """A name longer than any account's is wrong like any other, and is kept nowhere."""
        if len(self.cleaned_data.get("username") or "") > MAX_USERNAME:
            raise self.get_invalid_login_error()
        return super().clean()


class CodeForm(forms.Form):
    """Six digits of the app, or a recovery code."""

    token = forms.CharField(
        label=_("验证码"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"class": "input", "autocomplete": "one-time-code", "autofocus": True}
        ),
    )


class PasswordAgainForm(forms.Form):
    """The password once more, before something that weakens the account; counts as a log-in."""

    password = forms.CharField(
        label=_("当前密码"),
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "input", "autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        username = self.request.user.get_username()
        if authenticate(self.request, username=username, password=password) is None:
            raise forms.ValidationError(_("密码不正确。"))
        return password


class NewPasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        styled(self)


class NameForm(forms.ModelForm):
    """The name that colleagues and visitors see: one field, `first_name` holds it whole."""

    class Meta:
        model = User
        fields = ["first_name"]
        labels = {"first_name": _("显示名称")}
        help_texts = {"first_name": _("同事和访客看到的名字")}
        widgets = {"first_name": forms.TextInput(attrs={"class": "input", "autocomplete": "name"})}

    def save(self, commit: bool = True) -> User:
        self.instance.last_name = ""
        return super().save(commit)
