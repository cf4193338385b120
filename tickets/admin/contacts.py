"""Contacts, the addresses they write from, and why two are one person."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from tickets.admin.base import KefuAdmin, ReadOnlyAdmin
from tickets.models import Contact, ContactIdentity, IdentityLink
from tickets.services import contacts


class IdentityInline(TabularInline):
    model = ContactIdentity
    fk_name = "contact"
    fields = ("inbox", "external_id", "verified", "created_at", "last_seen_at")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("inbox")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Contact)
class ContactAdmin(KefuAdmin):
    """What is known of a person may be mended here; they are made and merged elsewhere."""

    list_display = ("display_name", "email", "phone", "language", "is_blocked", "created_at")
    search_fields = ("=name", "=email", "=phone")
    search_help_text = _("姓名、邮箱或手机的全文")
    fields = ("name", "email", "phone", "language", "custom", "blocked_at", "merged", "created_at")
    readonly_fields = ("blocked_at", "merged", "created_at")
    ordering = ("-created_at", "-pk")
    inlines = (IdentityInline,)
    actions = ("block", "unblock")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @display(description=_("姓名"))
    def display_name(self, contact: Contact) -> str:
        return contact.display_name

    @display(description=_("已拉黑"), boolean=True)
    def is_blocked(self, contact: Contact) -> bool:
        return contact.blocked_at is not None

    @display(description=_("已合并到"))
    def merged(self, contact: Contact) -> str:
        return str(contact.merged_into or "—")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        if values:
            contacts.update(obj, now=timezone.now(), **values)

    @admin.action(description=_("拉黑所选客户"), permissions=["change"])
    def block(self, request: HttpRequest, rows: QuerySet[Contact]) -> None:
        self._set_blocked(request, rows, blocked=True)

    @admin.action(description=_("解除拉黑"), permissions=["change"])
    def unblock(self, request: HttpRequest, rows: QuerySet[Contact]) -> None:
        self._set_blocked(request, rows, blocked=False)

    def _set_blocked(self, request: HttpRequest, rows: QuerySet[Contact], *, blocked: bool) -> None:
        for contact in rows.filter(blocked_at__isnull=blocked):
            contacts.set_blocked(contact, blocked=blocked, now=timezone.now())
            diff = {"blocked": [str(not blocked), str(blocked)]}
            self.log_change(request, contact, [{"changed": {}}, {"diff": diff}])


@admin.register(IdentityLink)
class IdentityLinkAdmin(ReadOnlyAdmin):
    """The evidence of merges; revoking one undoes exactly what it joined."""

    list_display = (
        "primary",
        "secondary",
        "evidence",
        "verified",
        "actor",
        "created_at",
        "revoked_at",
    )
    list_select_related = ("primary", "secondary", "actor")
    list_filter = ("evidence", "verified")
    ordering = ("-pk",)
    actions = ("revoke",)

    @admin.action(description=_("撤销所选关联"), permissions=["act"])
    def revoke(self, request: HttpRequest, rows: QuerySet[IdentityLink]) -> None:
        for link in rows.standing():  # type: ignore[attr-defined]
            contacts.unlink(link, actor=request.user, now=timezone.now())  # type: ignore[arg-type]
            self.log_change(request, link, [{"changed": {}}, {"diff": {"revoked": ["", "✓"]}}])
