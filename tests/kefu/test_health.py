import pytest
from django.conf import LazySettings
from django.test import Client


def test_alive_asks_nobody(client: Client, settings: LazySettings) -> None:
    """Without the mark of pytest-django, the database is out of reach too."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    answer = client.get("/healthz", HTTP_HOST="10.1.2.3")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_names_its_parts(client: Client) -> None:
    answer = client.get("/readyz", HTTP_HOST="10.1.2.3")

    parts = {"postgresql": "ok", "redis": "ok", "migrations": "ok"}
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "parts": parts})


@pytest.mark.django_db
def test_without_redis_it_is_not_ready(client: Client, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["parts"]["redis"] == "unreachable"


@pytest.mark.django_db
def test_probes_are_read_only(client: Client) -> None:
    assert client.post("/readyz").status_code == 405
