"""What the API has, by name: `kefu.conversations`, `kefu.ai_endpoints` and so on."""

from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

Row = dict[str, Any]
File = str | Path | tuple[str, bytes | BinaryIO]

# Attribute -> path below /api/v1/.
PATHS = {
    "conversations": "conversations",
    "contacts": "contacts",
    "tickets": "tickets",
    "inboxes": "inboxes",
    "agents": "agents",
    "teams": "teams",
    "labels": "labels",
    "quick_replies": "quick-replies",
    "webhooks": "webhooks",
    "api_keys": "api-keys",
    "ai_endpoints": "ai/endpoints",
    "ai_routing_rules": "ai/routing-rules",
    "ai_degrade_policies": "ai/degrade-policies",
    "ai_answer_rules": "ai/answer-rules",
}


def path_of(*parts: str) -> str:
    """A path below /api/v1/; names may hold anything, so they are escaped."""
    first, *rest = parts
    return "/".join([first, *(quote(part, safe="") for part in rest)]) + "/"


def query(filters: dict[str, Any]) -> dict[str, Any]:
    """Filters as the API reads them: what is None is left out."""
    return {name: value for name, value in filters.items() if value is not None}


def upload_of(file: File) -> dict[str, Any]:
    """(name, content) of a file, or of a path to one, as httpx sends it."""
    if isinstance(file, tuple):
        return {"file": file}
    path = Path(file)
    return {"file": (path.name, path.read_bytes())}
