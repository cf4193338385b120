from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AIGatewayConfig(AppConfig):
    name = "ai_gateway"
    verbose_name = _("机器人与 AI")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from ai_gateway import checks  # noqa: F401  registers the checks; needs apps ready
