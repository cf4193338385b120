"""Teams, service times and labels."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminColorInputWidget

from tickets.admin.base import KefuAdmin
from tickets.models import BusinessHours, Label, Team


@admin.register(Team)
class TeamAdmin(KefuAdmin):
    list_display = ("name", "slug", "strategy", "size")
    list_filter = ("strategy",)
    search_fields = ("name", "slug")
    filter_horizontal = ("members",)
    prepopulated_fields = {"slug": ("name",)}
    ordering = ("name", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(people=Count("members"))

    @display(description=_("人数"), ordering="people")
    def size(self, team: Any) -> int:
        return int(team.people)


@admin.register(BusinessHours)
class BusinessHoursAdmin(KefuAdmin):
    list_display = ("name", "time_zone", "used_by")
    search_fields = ("name",)
    ordering = ("name", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("inboxes")

    @display(description=_("使用的接入点"))
    def used_by(self, hours: BusinessHours) -> str:
        return ", ".join(inbox.name for inbox in hours.inboxes.all())


@admin.register(Label)
class LabelAdmin(KefuAdmin):
    list_display = ("name", "color")
    search_fields = ("name",)
    ordering = ("name", "pk")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "color":
            kwargs["widget"] = UnfoldAdminColorInputWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)
