from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kefu import up


class Command(BaseCommand):
    """For `help`: manage.py itself takes the shorter way, without Django."""

    help = (
        "Run everything in one terminal: embedded PostgreSQL and Redis unless DATABASE_URL and "
        "REDIS_URL are set, migrations, demo data, and all roles. Environment: HOST, PORT, "
        "KEFU_HOME, KEFU_DEMO. Ctrl-C stops it."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        if up.main():
            raise CommandError("stopped")
