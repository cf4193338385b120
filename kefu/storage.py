"""Where uploaded files are kept, as STORAGE_URL says it."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_ALLOWED = "file:///folder or s3://KEY:SECRET@bucket/prefix?region=…&endpoint=https://…"
_OPTIONS = {"region": "region_name", "endpoint": "endpoint_url"}


def backend_of(url: str, *, default: Path) -> dict[str, Any]:
    """An entry of `STORAGES`. Raises ImproperlyConfigured for what it cannot read.

    Files are private in every backend: they are handed out by our own signed links alone.
    """
    if not url:
        return _folder(default)
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return _folder(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.hostname:
        return _bucket(url)
    raise ImproperlyConfigured(f"STORAGE_URL: it must be {_ALLOWED}")


def _folder(path: Path) -> dict[str, Any]:
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(path)},
    }


def _bucket(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    if unknown := sorted(asked.keys() - _OPTIONS):
        raise ImproperlyConfigured(f"STORAGE_URL: unknown {', '.join(unknown)}; {_ALLOWED}")
    options = {
        "bucket_name": parts.hostname,
        "location": unquote(parts.path.strip("/")),
        "default_acl": None,  # private, as the bucket is
        "querystring_auth": True,
        "file_overwrite": False,
        **{_OPTIONS[name]: values[0] for name, values in asked.items()},
    }
    if parts.username:  # without: from the environment or the machine's role, as AWS does it
        options["access_key"] = unquote(parts.username)
        options["secret_key"] = unquote(parts.password or "")
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
