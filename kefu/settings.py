"""Settings of Kefu, in groups, all from the environment; docs/operations.md lists them."""

from pathlib import Path

import environ
from django.utils.translation import gettext_lazy as _

from kefu import storage

env = environ.Env()

# Core -----------------------------------------------------------------------------------------

BASE_DIR = Path(__file__).resolve().parent.parent
KEFU_HOME = Path(env.str("KEFU_HOME", default=str(BASE_DIR / ".local"))).absolute()
KEFU_DEMO = env.bool("KEFU_DEMO", default=False)
KEFU_ROLE = env.str("KEFU_ROLE", default="")
DEBUG = env.bool("DEBUG", default=False)
# A laptop's key lives in KEFU_HOME (kefu.home makes it); production names one (kefu.checks).
SECRET_KEY = env.str("SECRET_KEY", default="insecure-only-for-commands-without-data")
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[SECRET_KEY])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
ROOT_URLCONF = "kefu.urls"
ASGI_APPLICATION = "kefu.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Full collections of a process with thousands of sockets are the tail (docs/benchmarks.md).
GC_THRESHOLDS = (10_000, 200, 1_000)

# Apps -----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    # For `runserver`; no role needs it, and it costs each of them 26 MB.
    *([] if KEFU_ROLE else ["daphne"]),
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "kefu.apps.KefuAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "kefu.apps.KefuConfig",
    "tickets",
    "channels_adapters",
    "ai_gateway",
    "agents",
]
MIDDLEWARE = [
    "kefu.logging.TraceMiddleware",
    # Before whatever answers, so that files and error pages carry them too.
    "kefu.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "kefu.outage.OutageMiddleware",
    "kefu.health.ProbeMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "kefu.accounts.middleware.require_second_factor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kefu.notices.of_page",
            ]
        },
    }
]

# Database -------------------------------------------------------------------------------------

DATABASE_URL = env.str("DATABASE_URL", default="postgresql://kefu@127.0.0.1:5432/kefu")
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
DATABASES["default"]["ENGINE"] = "kefu.database"  # Django's, with a pool of ours
# Only for statements that we prepare (tickets/prepared.py); nothing else is.
DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c plan_cache_mode=force_generic_plan"
DATABASES["default"]["OPTIONS"]["pool"] = {
    "min_size": 1,
    "max_size": env.int("DATABASE_POOL_SIZE", default=24),
    "timeout": 5,  # seconds that a request waits for one, also while the server is away
}

# Redis and queues -----------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CHANNEL_LAYER_URLS = env.list("CHANNEL_LAYER_URLS", default=[REDIS_URL])
CHANNEL_LAYER_BACKEND = env.str("CHANNEL_LAYER_BACKEND", default="kefu.layer.LocalGroupsLayer")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": CHANNEL_LAYER_BACKEND,
        "CONFIG": {
            "hosts": CHANNEL_LAYER_URLS,
            "capacity": env.int("CHANNEL_LAYER_CAPACITY", default=1000),
        },
    }
}
if CHANNEL_LAYER_BACKEND.startswith("channels_redis."):
    # redis-py 8 times a quiet socket out after 5 s, which would end the layer's consumers.
    CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [
        {"address": url, "socket_timeout": None} for url in CHANNEL_LAYER_URLS
    ]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "kefu",
    }
}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
if CELERY_BROKER_URL.startswith("unix://"):  # kombu's word for a Redis socket
    CELERY_BROKER_URL = CELERY_BROKER_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "tickets.tasks.drain_lane": {"queue": "intake"},
    "channels_adapters.tasks.handle_event": {"queue": "intake"},
    "channels_adapters.tasks.fetch_mailbox": {"queue": "default"},  # slow servers hold up no reply
    "tickets.tasks.index_messages": {"queue": "bulk"},
    "tickets.tasks.forget_old_events": {"queue": "bulk"},
    "ai_gateway.tasks.answer_messages": {"queue": "ai"},
    "ai_gateway.tasks.suggest_to_agent": {"queue": "ai"},
    "ai_gateway.tasks.ask_shadows": {"queue": "ai"},
    "ai_gateway.tasks.ask_shadows_of_handoff": {"queue": "ai"},
    "ai_gateway.tasks.tell_feedback": {"queue": "bulk"},
    "ai_gateway.tasks.embed_articles": {"queue": "bulk"},
    "channels_adapters.tasks.*": {"queue": "delivery"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A subscriber that cannot reach the broker gives up at once: the row is there, a sweeper finds it.
# Without `max_retries` kombu sleeps through six seconds, in the thread that writes messages.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600, "max_retries": 0}
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS["socket_connect_timeout"] = 2
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "answer-unanswered": {
        "task": "ai_gateway.tasks.answer_unanswered",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
    "embed-articles": {
        "task": "ai_gateway.tasks.embed_articles",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "end-drills": {
        "task": "ai_gateway.tasks.end_drills",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "assign-waiting": {
        "task": "agents.tasks.assign_waiting",
        "schedule": 3.0,
        "options": {"expires": 3},
    },
    "pick-up-deliveries": {
        "task": "channels_adapters.tasks.pick_up_deliveries",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "watch-inboxes": {
        "task": "channels_adapters.tasks.watch_inboxes",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "try-tokens": {
        "task": "channels_adapters.tasks.try_tokens",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "poll-mailboxes": {
        "task": "channels_adapters.tasks.poll_mailboxes",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "pick-up-events": {
        "task": "channels_adapters.tasks.pick_up_events",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "pull-due-accounts": {
        "task": "channels_adapters.tasks.pull_due_accounts",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "poll-tmc": {
        "task": "channels_adapters.tasks.poll_tmc",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "pick-up-stuck": {
        "task": "tickets.tasks.pick_up_stuck",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "index-messages": {
        "task": "tickets.tasks.index_messages",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "forget-old-answers": {
        "task": "tickets.tasks.forget_old_answers",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "forget-threads": {
        "task": "ai_gateway.tasks.forget_threads",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "forget-envelopes": {
        "task": "tickets.tasks.forget_envelopes",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "sweep-online": {
        "task": "tickets.tasks.sweep_online",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "follow-hooks": {
        "task": "tickets.tasks.follow_hooks",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
    "forget-old-events": {
        "task": "tickets.tasks.forget_old_events",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "wake-snoozed": {
        "task": "tickets.tasks.wake_snoozed",
        "schedule": 1.0,
        "options": {"expires": 1},
    },
}

# Files ----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(KEFU_HOME / "media")))
STORAGE_URL = env.str("STORAGE_URL", default="")
STORAGES = {
    "default": storage.backend_of(STORAGE_URL, default=MEDIA_ROOT),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Links to files may go to a host of their own that leads here, so that no file shares our origin.
FILES_URL = env.str("MEDIA_URL", default=PUBLIC_URL).rstrip("/")
ATTACHMENT_URL_TTL_S = env.int("ATTACHMENT_URL_TTL_S", default=3600)
FEED_KEPT_DAYS = env.int("FEED_KEPT_DAYS", default=30)  # events, and what became of deliveries
WEBHOOK_TIMEOUT_S = env.float("WEBHOOK_TIMEOUT_S", default=15.0)  # for one attempt, all of it
ATTACHMENT_MAX_BYTES = 20 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Language and time ----------------------------------------------------------------------------

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="zh-hans")
LANGUAGES = [("zh-hans", _("简体中文")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Shanghai")
USE_TZ = True

# Security -------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/console/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0)
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SESSION_COOKIE_AGE = env.int("SESSION_COOKIE_AGE", default=7 * 24 * 3600)
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "kefu.accounts.views.csrf_failed"
X_FRAME_OPTIONS = "DENY"
REQUIRE_TWO_FACTOR = env.bool("REQUIRE_TWO_FACTOR", default=False)
OTP_TOTP_ISSUER = "Kefu"
OUTBOUND_ALLOW = env.list("OUTBOUND_ALLOW", default=[])
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "kefu.accounts.lockout.address_of"
AXES_LOCKOUT_CALLABLE = "kefu.accounts.lockout.locked_out"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:", *({FILES_URL} - {PUBLIC_URL})],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
# What differs below a path. The admin's Alpine.js compiles its attributes (no inline script, but
# eval) and sets style attributes; its style elements stay forbidden (docs/security.md).
CSP_EXCEPTIONS: dict[str, dict[str, list[str]]] = {
    "/admin/": {
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src-attr": ["'unsafe-inline'"],
    },
}
PERMISSIONS_POLICY = (
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()"
)

# API ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tickets.api.auth.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tickets.api.auth.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "tickets.api.schema.KefuSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "UPLOADED_FILES_USE_URL": False,
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_HANDLER_CLASS": "tickets.api.errors.ApiExceptionHandler"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kefu API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "deepLinking": True},
    "PREPROCESSING_HOOKS": ["tickets.api.schema.only_v1"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [],
}

# Administration -------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Kefu",
    "SITE_HEADER": "Kefu",
    "SITE_SUBHEADER": _("管理"),
    "SITE_URL": "/console/",
    "SITE_SYMBOL": "support_agent",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/logo.svg"}],
    "SHOW_LANGUAGES": True,
    "STYLES": ["kefu.admin_site.stylesheet"],
    "SCRIPTS": ["kefu.admin_site.script"],
    "ACCOUNT": {
        "navigation": [
            {"title": _("我的账号"), "link": "/account/"},
            {"title": _("两步验证"), "link": "/account/two-factor/"},
        ]
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "kefu.admin_site.navigation",
    },
}

# Channels and AI backends ---------------------------------------------------------------------

CHANNEL_ADAPTERS: dict[str, str] = {
    "api": "channels_adapters.bridge.adapter.Bridge",
    "dingtalk": "channels_adapters.dingtalk.adapter.DingTalk",
    "douyin": "channels_adapters.douyin.adapter.Douyin",
    "email": "channels_adapters.email.adapter.Email",
    "feishu": "channels_adapters.feishu.adapter.Feishu",
    "line": "channels_adapters.line_app.adapter.Line",
    "slack": "channels_adapters.slack.adapter.Slack",
    "taobao": "channels_adapters.taobao.adapter.Taobao",
    "telegram": "channels_adapters.telegram.adapter.Telegram",
    "wechat_oa": "channels_adapters.wechat_oa.adapter.WechatOA",
    "wecom": "channels_adapters.wecom.adapter.WeCom",
    "wecom_kf": "channels_adapters.wecom_kf.adapter.WeComKf",
    "whatsapp": "channels_adapters.whatsapp.adapter.WhatsApp",
}
# Small hashes of who is online; 64 visitors in each are kept in the fewest bytes.
ONLINE_BUCKETS = env.int("ONLINE_BUCKETS", default=1024)
PHONE_REGION = env.str("PHONE_REGION", default="CN")  # of numbers without a country code
INTAKE_LANES = env.int("INTAKE_LANES", default=16)  # webhooks' messages side by side
AI_BACKENDS = {
    "coze": "ai_gateway.backends.coze.Coze",
    "dify": "ai_gateway.backends.dify.Dify",
    "fastgpt": "ai_gateway.backends.fastgpt.FastGPT",
    "openai": "ai_gateway.backends.openai.OpenAI",
}
AI_FIRST_TEXT_S = env.float("AI_FIRST_TEXT_S", default=8.0)  # until a contact sees something
COPILOT_PER_MINUTE = env.int("COPILOT_PER_MINUTE", default=30)  # suggestions for one agent or key
# Whether web and gateway speak for what no worker answered in time.
AI_STANDBY = env.bool("AI_STANDBY", default=True)
AI_MAX_IN_FLIGHT = env.int("AI_MAX_IN_FLIGHT", default=2000)  # calls one `ai` process holds

# Logging --------------------------------------------------------------------------------------

LOGGING_CONFIG = "kefu.logging.configure"
LOGGING = {"version": 1}  # Django calls LOGGING_CONFIG only where there is something here
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="text")  # or json, one object a line
SENTRY_DSN = env.str("SENTRY_DSN", default="")  # kefu/telemetry.py; it reads OTEL_* too
