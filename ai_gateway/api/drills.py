"""Drills: a fault on purpose, for a while. DELETE ends one early; its report is kept."""

import re
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import Drill
from ai_gateway.services import drills
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import IdField, PageFilters, StrictNumberField, StrictSerializer
from tickets.api.paging import Pager
from tickets.api.shapes import Anything, page_of
from tickets.payloads import iso

NEWEST_STARTED = Pager[Drill](order=("started_at", "pk"))


class DrillBody(StrictSerializer):
    endpoint = IdField()
    fault = serializers.ChoiceField(Drill.Fault.values, required=False)
    minutes = StrictNumberField(required=False, min_value=0.1, max_value=30)
    delay_s = StrictNumberField(required=False, min_value=0.1, max_value=60)
    share = StrictNumberField(required=False, min_value=0.01, max_value=1)
    inbox = IdField(required=False, allow_null=True)


class DrillShape(serializers.Serializer):
    id = serializers.IntegerField()
    endpoint = serializers.CharField()
    fault = serializers.ChoiceField(Drill.Fault.values)
    delay_s = serializers.FloatField()
    share = serializers.FloatField()
    inbox = serializers.CharField(allow_null=True)
    started_by = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    report = Anything()


def drill_row(drill: Drill) -> dict[str, Any]:
    return {
        "id": drill.pk,
        "endpoint": drill.endpoint,
        "fault": drill.fault,
        "delay_s": drill.delay_s,
        "share": drill.share,
        "inbox": drill.inbox.key if drill.inbox else None,
        "started_by": drill.started_by.username if drill.started_by else None,
        "started_at": iso(drill.started_at),
        "ends_at": iso(drill.ends_at),
        "ended_at": iso(drill.ended_at),
        "report": drill.report,
    }


class DrillViews(ApiViewSet):
    """ai/drills/"""

    write_scope = "admin"
    lookup_url_kwarg = "id"
    lookup_value_regex = r"[^/]{1,40}"

    def rows(self) -> QuerySet[Drill]:
        return Drill.objects.select_related("inbox", "started_by")

    @extend_schema(parameters=[PageFilters], responses={200: page_of(DrillShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_STARTED.page(request, self.rows(), self.filters(PageFilters), drill_row)

    @extend_schema(request=DrillBody, responses={201: DrillShape})
    def create(self, request: Request) -> Response:
        wanted = self.body(DrillBody)
        key = wanted.get("inbox")
        started = drills.start(
            wanted["endpoint"],
            fault=wanted.get("fault", Drill.Fault.FAIL),
            minutes=wanted.get("minutes", 5),
            delay_s=wanted.get("delay_s", 3.0),
            share=wanted.get("share", 1.0),
            inbox=lookups.inbox(key),
            by=self._person(),
            now=self.now,
        )
        return Response(drill_row(started), status=201)

    def _drill(self, number: str) -> Drill:
        if not re.fullmatch(r"[0-9]{1,18}", number):
            raise NotFound()
        return lookups.by_key(self.rows(), pk=number)

    def _person(self) -> User | None:
        user_id = self.principal.user_id
        return User.objects.filter(pk=user_id).first() if user_id else None

    @extend_schema(responses={200: DrillShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(drill_row(self._drill(id)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        drills.stop(self._drill(id), now=self.now)
        return Response(status=204)
