"""A channel of somebody else's package: set up, heard and answered as ours are."""

import pytest
from django.core.checks import WARNING
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from channels_adapters import checks, delivery, registry
from channels_adapters.testing import FakeChannel, post_webhook
from tests import factories
from tests.channels_adapters.conftest import SECRET, drain
from tickets import inbox_types
from tickets.envelopes import SYSTEM
from tickets.models import Conversation, Inbox
from tickets.services import api_keys, conversations

pytestmark = pytest.mark.django_db(transaction=True)


class Matrix(FakeChannel):
    channel = "matrix"
    label = "Matrix"
    credentials = ("secret",)


class EntryPoint:
    """What `importlib.metadata` gives of an installed package."""

    def __init__(self, name: str, load) -> None:
        self.name, self.load = name, load


@pytest.fixture
def installed(monkeypatch):
    """Packages with these entry points are installed, and the house starts."""

    def install(**loads) -> None:
        points = {name: EntryPoint(name, load) for name, load in loads.items()}
        monkeypatch.setattr(registry, "_of_strangers", lambda: points)
        registry.announce_strangers()

    yield install
    for name in list(inbox_types.brought()):
        inbox_types.forget(name)


def _key() -> str:
    boss = factories.user(role="admin")
    return api_keys.create(name="t", scopes=["read", "write", "admin"], user=boss)[1]


def test_its_inbox_is_made_over_rest_hears_and_answers(installed, platform):
    installed(matrix=lambda: Matrix)
    client = Client(headers={"Authorization": f"Bearer {_key()}"})
    body = {
        "type": "matrix",
        "key": "mx",
        "name": "Matrix",
        "credentials": {"secret": SECRET},
        "settings": {"base_url": platform.origin},
    }

    made = client.post("/api/v1/inboxes/", body, content_type="application/json")
    assert made.status_code == 201, made.content
    inbox = Inbox.objects.get(key="mx")
    assert inbox.get_type_display() == "Matrix"
    said = {"messages": [{"id": "1", "from": "@a", "text": "在吗"}]}
    assert post_webhook(Client(), inbox, said).status_code == 200
    drain()
    conversations.post_reply(
        Conversation.objects.get(), author=SYSTEM, text="在的", now=timezone.now()
    )
    delivery.deliver(inbox, now=timezone.now())

    assert platform.texts == ["在的"]


def test_its_inbox_comes_from_a_file(installed, tmp_path):
    installed(matrix=lambda: Matrix)
    file = tmp_path / "channels.yaml"
    file.write_text("channels:\n  - type: matrix\n    key: mx\n    secret: abc\n")

    call_command("import_config", str(file))

    assert Inbox.objects.get(key="mx").credentials == {"secret": "abc"}


@pytest.mark.parametrize("kind", [ImportError, RuntimeError, SyntaxError])
def test_a_broken_package_is_told_and_stops_nobody(installed, caplog, kind):
    def broken():
        raise kind("no module kefu_broken")

    installed(broken=broken, matrix=lambda: Matrix)

    assert list(inbox_types.brought()) == ["matrix"]
    assert "the channel broken cannot be used" in caplog.text
    [warning] = checks.adapters_fit(None)
    assert warning.level == WARNING
    assert "'broken': cannot be imported: no module kefu_broken" in warning.msg


@pytest.mark.parametrize("name", ["web", "Bad-Name", "x", "a" * 21])
def test_a_name_that_cannot_be_a_type_is_told(installed, name):
    installed(**{name: lambda: Matrix})

    assert name not in inbox_types.brought()
    [warning] = checks.adapters_fit(None)
    assert repr(name) in warning.msg


def test_the_door_of_a_package_that_broke_lets_the_platform_come_again(installed):
    def broken():
        raise RuntimeError("broken since the last release")

    installed(matrix=broken)
    inbox = factories.inbox("matrix", key="mx", credentials={"secret": SECRET})

    assert post_webhook(Client(), inbox, {"messages": []}).status_code == 503


def test_a_request_that_the_adapter_stumbles_over_is_not_trusted(installed, monkeypatch):
    installed(matrix=lambda: Matrix)
    inbox = factories.inbox("matrix", key="mx", credentials={"secret": SECRET})
    monkeypatch.setattr(Matrix, "verify", lambda *_, **__: 1 / 0)

    response = post_webhook(Client(), inbox, {"messages": []})

    assert (response.status_code, response.content) == (400, b"malformed")
