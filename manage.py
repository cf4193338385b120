#!/usr/bin/env python
"""Kefu's command line; `python manage.py help` lists the commands."""

import contextlib
import os
import sys

# These ask no database, or bring their own.
WITHOUT_SERVERS = {
    "check", "check_translations", "collectstatic", "compilemessages", "diffsettings", "help",
    "makemessages", "spectacular", "startapp", "up",
}  # fmt: skip


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")
    command, *_ = [*sys.argv[1:], "help"]
    asks_for_help = {"-h", "--help", "--version"} & set(sys.argv[1:])
    if command == "up" and not asks_for_help:
        from kefu.up import main as up  # this way without Django: sooner there, and smaller

        return up()
    if asks_for_help or command in WITHOUT_SERVERS:
        return execute()
    if command == "doctor":
        return execute_with_running_servers()
    return execute_with_servers(command)


def execute() -> int:
    from django.core.management import execute_from_command_line  # settings named first

    execute_from_command_line(sys.argv)
    return 0


def execute_with_servers(command: str) -> int:
    from kefu.embedded import EmbeddedError  # not needed above
    from kefu.home import servers_for_a_command  # not needed above

    with contextlib.ExitStack() as stack:
        try:
            fresh = stack.enter_context(servers_for_a_command(command))
        except EmbeddedError as error:
            sys.stderr.write(f"kefu: {error}\n")
            return 1
        if fresh and command != "migrate":
            migrate()
        return execute()


def execute_with_running_servers() -> int:
    from kefu.home import servers_that_run  # not needed above

    with servers_that_run():
        return execute()


def migrate() -> None:
    import django  # settings named and servers up first
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


if __name__ == "__main__":
    sys.exit(main())
