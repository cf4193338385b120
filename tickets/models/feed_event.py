"""The change feed: what happened, a row each, written in the transaction of the change.

Rows of transactions that run side by side become visible in any order, so a number alone is no
place to go on from: one that commits late would be passed over. Each row has the id of its
transaction, and is read only once no older transaction can still commit (`visible`); from then on
(`xid`, `id`) is its place for good.
"""

import re
from typing import NamedTuple, Self

from django.db import models
from django.db.models import Index, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

# The xid8 of the transaction: 64 bits, never used again. PostgreSQL has no cast without text.
_OWN_XID = "pg_current_xact_id()::text::bigint"
_OLDEST_RUNNING = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NEXT = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_POSITION = re.compile("evt_([0-9a-f]{1,15})_([0-9a-f]{1,15})")


class EventName(models.TextChoices):
    """What the feed and hooks call it; contract §6."""

    CONVERSATION_CREATED = "conversation.created", _("会话：新建")
    CONVERSATION_UPDATED = "conversation.updated", _("会话：更新")
    CONVERSATION_ASSIGNED = "conversation.assigned", _("会话：分配")
    CONVERSATION_RESOLVED = "conversation.resolved", _("会话：解决")
    MESSAGE_CREATED = "message.created", _("消息：新建")
    MESSAGE_UPDATED = "message.updated", _("消息：更新")
    CONTACT_CREATED = "contact.created", _("客户：新建")
    CONTACT_UPDATED = "contact.updated", _("客户：更新")
    CONTACT_MERGED = "contact.merged", _("客户：合并")
    TICKET_CREATED = "ticket.created", _("工单：新建")
    TICKET_UPDATED = "ticket.updated", _("工单：更新")


class Position(NamedTuple):
    """A place in the feed: after the row that has it, before all later ones."""

    xid: int
    pk: int

    def __str__(self) -> str:
        return f"evt_{self.xid:x}_{self.pk:x}"

    @classmethod
    def read(cls, text: str) -> "Position | None":
        """What `str` wrote; None for anything else."""
        found = _POSITION.fullmatch(text)
        return cls(int(found[1], 16), int(found[2], 16)) if found else None


class FeedEventQuerySet(models.QuerySet["FeedEvent"]):
    def visible(self) -> Self:
        """Those whose place is settled: no transaction still runs that may write before them."""
        return self.filter(xid__lt=RawSQL(_OLDEST_RUNNING, []))  # noqa: S611  a constant

    def from_elsewhere(self) -> Self:
        """Of another server, that a backup came from: transactions that this one has not begun."""
        return self.filter(xid__gte=RawSQL(_NEXT, []))  # noqa: S611  a constant

    def after(self, position: Position) -> Self:
        later = Q(xid__gt=position.xid) | Q(xid=position.xid, pk__gt=position.pk)
        return self.filter(later, xid__gte=position.xid)  # the bound alone is for the index

    def before(self, position: Position) -> Self:
        earlier = Q(xid__lt=position.xid) | Q(xid=position.xid, pk__lt=position.pk)
        return self.filter(earlier, xid__lte=position.xid)

    def in_order(self) -> Self:
        return self.order_by("xid", "pk")


class FeedEvent(models.Model):
    """变更事件. The object is read when it is asked for: a row is only its name."""

    xid = models.BigIntegerField(db_default=RawSQL(_OWN_XID, []), editable=False)  # noqa: S611  a constant
    event = models.CharField(_("事件"), max_length=24, choices=EventName.choices)
    object_id = models.BigIntegerField(_("对象"))
    public_id = models.UUIDField(_("对象 ID"))
    created_at = models.DateTimeField(_("时间"), db_default=Now())

    objects = FeedEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("变更事件")
        verbose_name_plural = _("变更事件")
        indexes = [Index(fields=["xid", "id"], name="feed_order")]

    def __str__(self) -> str:
        return str(self.position)

    @property
    def position(self) -> Position:
        return Position(self.xid, self.pk)


class FeedHorizon(models.Model):
    """Up to where the feed has been forgotten: one row, none before the first time."""

    id = models.SmallAutoField(primary_key=True)
    xid = models.BigIntegerField()
    event_id = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.position)

    @property
    def position(self) -> Position:
        return Position(self.xid, self.event_id)
