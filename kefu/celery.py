"""The Celery app: workers of the roles `worker` and `ai`, and the clock of `beat`."""

import os

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")

app = Celery("kefu")
# Without it, threads that did not import this module would speak to an app without settings.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _hold_many_calls(**_: object) -> None:
    """Each call of an AI service is a socket."""
    from kefu.serve import allow_many_sockets  # only workers need a server's libraries

    allow_many_sockets()
