from django.apps import AppConfig


class KefuConfig(AppConfig):
    """The roof: wires who hears what, once all rooms are there."""

    name = "kefu"
    verbose_name = "Kefu"

    def ready(self) -> None:
        from kefu import checks  # noqa: F401  registers the checks; needs apps ready
        from kefu.flow import FLOW  # app ready: imports models
        from tickets import bus

        bus.connect(FLOW)
