#!/usr/bin/env python
"""Kefu's command line; `python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")
    from django.core.management import execute_from_command_line  # settings named first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
