"""Cursor paging by key: what was there at the first page comes exactly once, whatever is added.

A cursor says after (or before) which row a page lies. It needs no secret: it chooses among
rows that the asker may see anyway.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

M = TypeVar("M", bound=Model)
MAX_INT = 2**63 - 1


@dataclass(frozen=True)
class Cursor:
    """A row's key, and whether the page lies before it."""

    position: tuple[Any, ...]
    backwards: bool = False

    def __str__(self) -> str:
        words = [v.isoformat() if isinstance(v, datetime) else v for v in self.position]
        text = json.dumps([int(self.backwards), *words], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, order: Sequence[str]) -> "Cursor":
        """The cursor that `str` wrote. Raises ValidationError for anything else."""
        try:
            padded = text + "=" * (-len(text) % 4)
            backwards, *words = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
            position = [_value(word, name) for word, name in zip(words, order, strict=True)]
        except (ValueError, TypeError, binascii.Error, RecursionError) as error:
            raise ValidationError({"cursor": "not a cursor of this list"}) from error
        return cls(tuple(position), bool(backwards))


def _value(word: Any, name: str) -> Any:
    """One part of a position, by its column: moments end in `_at`, all else counts."""
    if name.endswith("_at"):
        moment = parse_datetime(word)
        if moment is None or moment.tzinfo is None:
            raise ValueError(word)
        return moment
    if type(word) is not int or not 0 <= word <= MAX_INT:
        raise ValueError(word)
    return word


@dataclass(frozen=True)
class Pager(Generic[M]):
    """How a list is walked: its columns, all in one direction, the last of them unique."""

    order: tuple[str, ...] = ("created_at", "pk")
    newest_first: bool = True

    def page(
        self,
        request: Request,
        rows: QuerySet[M],
        paging: dict[str, Any],
        payload: Callable[[M], Any],
    ) -> Response:
        """`results`, and `next` and `previous` as URLs or null.

        `paging` holds `cursor` and `limit` of `PageFilters`, `rows` is not ordered yet.
        """
        limit = paging["limit"]
        text = paging.get("cursor")
        cursor = Cursor.read(text, self.order) if text else None
        backwards = bool(cursor and cursor.backwards)
        found = self._slice(rows, cursor, backwards, limit + 1)
        more = len(found) > limit
        shown = found[:limit][:: -1 if backwards else 1]
        there_is_next = more if not backwards else True
        there_is_previous = more if backwards else cursor is not None
        return Response(
            {
                "results": [payload(row) for row in shown],
                "next": self._url(request, shown[-1:], False) if there_is_next else None,
                "previous": self._url(request, shown[:1], True) if there_is_previous else None,
            }
        )

    def _slice(
        self, rows: QuerySet[M], cursor: Cursor | None, backwards: bool, count: int
    ) -> list[M]:
        descending = self.newest_first != backwards
        if cursor:
            rows = rows.filter(self._beyond(cursor.position, descending))
        sign = "-" if descending else ""
        return list(rows.order_by(*(sign + name for name in self.order))[:count])

    def _beyond(self, position: tuple[Any, ...], descending: bool) -> Q:
        """The rows after the position; the first column's bound stands alone for the index."""
        word = "lt" if descending else "gt"
        (first, value), *rest = zip(self.order, position, strict=True)
        if not rest:
            return Q(**{f"{first}__{word}": value})
        ((second, tie),) = rest
        strictly = Q(**{f"{first}__{word}": value})
        tied = Q(**{first: value, f"{second}__{word}": tie})
        return Q(**{f"{first}__{word}e": value}) & (strictly | tied)

    def _url(self, request: Request, rows: list[M], backwards: bool) -> str | None:
        if not rows:
            return None
        position = tuple(getattr(rows[0], name) for name in self.order)
        query = request.query_params.copy()
        query["cursor"] = str(Cursor(position, backwards))
        pairs = [(name, value) for name in query for value in query.getlist(name)]
        return request.build_absolute_uri(f"{request.path}?{urlencode(pairs)}")


NEWEST_FIRST: Pager[Any] = Pager()
LATEST_ADDED_FIRST: Pager[Any] = Pager(order=("pk",))  # for lists without a moment of their own
