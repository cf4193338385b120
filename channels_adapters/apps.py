from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChannelsAdaptersConfig(AppConfig):
    name = "channels_adapters"
    verbose_name = _("渠道与接入")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from channels_adapters import (  # needs apps ready
            checks,  # noqa: F401  registers the checks
            registry,
        )

        registry.announce_strangers()
