from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class KefuConfig(AppConfig):
    """The roof: wires who hears what, once all rooms are there."""

    name = "kefu"
    verbose_name = "Kefu"

    def ready(self) -> None:
        from kefu import (
            checks,  # noqa: F401  registers the checks; needs apps ready
            telemetry,
        )
        from kefu.flow import FLOW  # app ready: imports models
        from kefu.hops import SOURCES
        from tickets import bus, trace

        bus.connect(FLOW)
        for source in SOURCES:
            trace.add_source(source)
        telemetry.start()
        post_migrate.connect(_give_roles_their_permissions)


class KefuAdminConfig(AdminConfig):
    """In INSTALLED_APPS in place of django.contrib.admin: our site, our doors."""

    default_site = "kefu.admin_site.KefuAdminSite"


def _give_roles_their_permissions(sender: AppConfig, **kwargs: Any) -> None:
    from kefu.accounts import roles  # app ready: imports models

    roles.give_permissions(sender)
