import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone, translation

from kefu import embedded, home, inbox_doctor

GIB = 1024**3


class Command(BaseCommand):
    help = "Check everything that Kefu needs, and say what to do where something is missing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        help_text = "ask each platform whether it takes our credentials"
        parser.add_argument("--online", action="store_true", help=help_text)

    def handle(self, *args: Any, **options: Any) -> None:
        bad = 0
        for name, advice in findings():
            bad += bool(advice)
            mark = self.style.ERROR("✗") if advice else self.style.SUCCESS("✓")
            self.stdout.write(f"{mark} {name}{f': {advice}' if advice else ''}")
        bad += self._inboxes(online=options["online"])
        if bad:
            raise CommandError(f"{bad} of these need you")

    def _inboxes(self, *, online: bool) -> int:
        """How many of them cannot work; what is only worth a look is said and not counted."""
        if not os.environ.get("DATABASE_URL"):
            self.stdout.write("- inboxes: not looked at, for Kefu does not run here")
            return 0
        try:
            with translation.override("en"):
                examined = list(inbox_doctor.examine(now=timezone.now(), online=online))
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            self.stdout.write(f"- inboxes: cannot be read ({reason}): manage.py migrate")
            return 0
        for one in examined:
            self.stdout.write("\n    ".join([f"{self._mark(one)} {one.name}", *one.advice]))
        return sum(one.is_ill for one in examined)

    def _mark(self, one: inbox_doctor.Examined) -> str:
        if one.is_ill:
            return self.style.ERROR("✗")
        return self.style.WARNING("!") if one.advice else self.style.SUCCESS("✓")


def findings() -> Iterator[tuple[str, str]]:
    """What was looked at, and what to do; empty where it is well."""
    checks: dict[str, Callable[[], str]] = {
        "KEFU_HOME": _home,
        "PostgreSQL": _postgres,
        "Redis": _redis,
        "secrets": _secrets,
        "Chromium, for the browser tests": _browser,
    }
    for name, check in checks.items():
        yield name, check()


def _home() -> str:
    try:
        free = shutil.disk_usage(home.home_folder()).free
    except embedded.EmbeddedError as error:
        return str(error)
    return "" if free > GIB else f"less than 1 GiB free on the disk of {settings.KEFU_HOME}"


def _postgres() -> str:
    url = os.environ.get("DATABASE_URL")
    try:
        if not url:
            embedded.find_postgres()
            return ""
        with psycopg.connect(url, connect_timeout=3) as connection:
            version = connection.info.server_version
    except embedded.EmbeddedError as error:
        return str(error)
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        return f"DATABASE_URL does not answer: {reason}"
    return "" if version >= 150000 else f"PostgreSQL 15 or later is needed, this is {version}"


def _redis() -> str:
    url = os.environ.get("REDIS_URL")
    try:
        if not url:
            embedded.find_redis()
            return ""
        with redis.Redis.from_url(url, socket_timeout=3) as client:
            version = str(client.info("server")["redis_version"])
    except embedded.EmbeddedError as error:
        return str(error)
    except redis.RedisError as error:
        return f"REDIS_URL does not answer: {type(error).__name__}"
    return (
        ""
        if int(version.split(".", maxsplit=1)[0]) >= 6
        else f"Redis 6.2 or later is needed: {version}"
    )


def _secrets() -> str:
    kept = (Path(settings.KEFU_HOME) / "secrets.json").exists()
    if os.environ.get("SECRET_KEY") or kept or not os.environ.get("DATABASE_URL"):
        return ""
    return "set SECRET_KEY and FIELD_ENCRYPTION_KEYS, each 50 random characters"


def _browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return "" if found else "apt-get install chromium fonts-wqy-zenhei"
