from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TicketsConfig(AppConfig):
    """The ground floor: what was said, by whom, and what we owe them."""

    name = "tickets"
    verbose_name = _("会话与工单")
    default_auto_field = "django.db.models.BigAutoField"
