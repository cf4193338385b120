"""Settings of the textbook stack."""

import os

import environ

env = environ.Env()

SECRET_KEY = "only-for-the-benchmark"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["daphne", "channels", "tests.bench.baseline"]
ASGI_APPLICATION = "tests.bench.baseline.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": env.db_url_config(os.environ["DATABASE_URL"])}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["CONN_MAX_AGE"] = None
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": os.environ["REDIS_URL"],
                    # redis-py 8 would end quiet consumers after 5 s, and have 100 connections.
                    "socket_timeout": None,
                    "max_connections": 10_000,
                }
            ],
            "capacity": 10_000,
        },
    }
}
USE_TZ = True
