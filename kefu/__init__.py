"""The roof. The Celery app is loaded with it, so that every process queues to our broker."""

from kefu.celery import app as celery_app

__all__ = ["celery_app"]
