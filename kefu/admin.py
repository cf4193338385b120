"""People, their roles, and the record of who changed what."""

import json
from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from kefu.accounts import roles, second_factor
from tickets.admin.base import KefuAdmin, ReadOnlyAdmin
from tickets.policy import Role, role_of
from tickets.services import audit

# Their pages show secrets; the user's page resets a second factor. Roles are fixed.
for _model in (TOTPDevice, StaticDevice, Group, User):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

LogEntry._meta.verbose_name = LogEntry._meta.verbose_name_plural = _("操作日志")

ROLE_LABELS = [
    (Role.AGENT.value, _("客服")),
    (Role.LEAD.value, _("组长")),
    (Role.ADMIN.value, _("管理员")),
    (Role.AUDITOR.value, _("审计员")),
]


class PersonForm(UserChangeForm):
    """A person's name, role and whether they may log in."""

    role = forms.ChoiceField(label=_("角色"), choices=ROLE_LABELS, widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = set(self.instance.groups.values_list("name", flat=True))
        self.initial["role"] = role_of(self.instance, groups).value
        if "first_name" in self.fields:
            self.fields["first_name"].label = _("显示名称")


@admin.register(User)
class PersonAdmin(DjangoUserAdmin, KefuAdmin):  # type: ignore[misc]  # ours comes first
    form = PersonForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "first_name",
        "email",
        "role",
        "has_factor",
        "is_active",
        "last_login",
    )
    list_filter = ("is_active", "groups")
    search_fields = ("username", "first_name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("个人信息"), {"fields": ("first_name", "email")}),
        (_("权限"), {"fields": ("role", "is_active")}),
        (_("时间"), {"fields": ("last_login", "date_joined")}),
    )
    actions = ("reset_second_factor", "end_lock")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        factor = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        rows = super().get_queryset(request).prefetch_related("groups")
        return rows.annotate(factor=Exists(factor))

    @display(description=_("角色"))
    def role(self, user: User) -> str:
        name = role_of(user, {group.name for group in user.groups.all()}).value
        return str(dict(ROLE_LABELS)[name])

    @display(description=_("两步验证"), boolean=True)
    def has_factor(self, user: Any) -> bool:
        return bool(user.factor)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        roles.set_role(obj.pk, Role(form.cleaned_data.get("role", Role.AGENT.value)))

    @admin.action(description=_("重置两步验证"), permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        for user in rows:
            second_factor.remove(user)
            diff = {"second_factor": ["✓", ""]}
            self.log_change(request, user, [{"changed": {}}, {"diff": diff}])
        self.message_user(request, _("两步验证已重置"), messages.SUCCESS)

    @admin.action(description=_("解除登录锁定"), permissions=["change"])
    def end_lock(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        names = list(rows.values_list("username", flat=True))
        AccessAttempt.objects.filter(username__in=names).delete()
        self.message_user(request, _("登录锁定已解除"), messages.SUCCESS)


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """操作日志: who changed what, from which value to which. Nobody changes this."""

    list_display = ("action_time", "actor", "kind", "what", "object_repr", "changes")
    list_select_related = ("user", "content_type")
    list_filter = ("action_flag", "content_type")
    search_fields = ("object_repr", "=user__username", "change_message")
    ordering = ("-action_time", "-pk")
    list_display_links = None

    @display(description=_("操作人"), ordering="user__username")
    def actor(self, entry: LogEntry) -> str:
        """A person; a program by its name, and with it the person for whom it acts."""
        program = _program(entry)
        if program and entry.user.username == audit.PROGRAMS:
            return program
        return f"{entry.user}（{program}）" if program else str(entry.user)

    @display(description=_("操作"))
    def kind(self, entry: LogEntry) -> str:
        return str(entry.get_action_flag_display())

    @display(description=_("对象类型"))
    def what(self, entry: LogEntry) -> str:
        return str(entry.content_type.name if entry.content_type else "")

    @display(description=_("变更"))
    def changes(self, entry: LogEntry) -> str:
        return format_html_join("; ", "{}: {} → {}", _differences(entry))


def _program(entry: LogEntry) -> str:
    """The key or the command that acted, or ""."""
    by: dict[str, str] = next((part["by"] for part in _parts(entry) if "by" in part), {})
    if "key" in by:
        return str(_("API 密钥 %(key)s（%(prefix)s…）") % by)
    return str(_("命令 %(command)s") % by) if "command" in by else ""


def _differences(entry: LogEntry) -> list[tuple[str, str, str]]:
    """(field, before, after) of an entry; entries of foreign pages have none."""
    found = [part["diff"] for part in _parts(entry) if "diff" in part]
    return [(name, pair[0], pair[1]) for diff in found for name, pair in diff.items()]


def _parts(entry: LogEntry) -> list[dict[str, Any]]:
    try:
        message = json.loads(entry.change_message or "[]")
    except ValueError:
        return []
    return [part for part in message if isinstance(part, dict)]
