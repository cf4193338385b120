"""`channels:` of every type: in, out, in again; the incomplete ones are kept, shown, refused."""

from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels_adapters import inbox_health, registry
from tests import factories
from tickets import inbox_fields
from tickets.models import Inbox

pytestmark = pytest.mark.django_db

AS_IT_STANDS = """\
channels:
  - type: feishu
    token: xxxx
    auto_reply: true
  - type: wecom
    corp_id: xxxx
    secret: xxxx
"""
VALUES = {
    "mode": "safe",
    "bridge_url": "https://bridge.shop.example/in",
    "address": "help@shop.example",
    "imap_url": "imaps://help:secret@imap.shop.example",
    "smtp_url": "smtps://help:secret@smtp.shop.example",
}


def load(folder: Path, text: str) -> None:
    file = folder / "kefu.yaml"
    file.write_text(text, encoding="utf-8")
    call_command("import_config", str(file), stdout=StringIO())


def exported() -> str:
    output = StringIO()
    call_command("export_config", stdout=output)
    return output.getvalue()


def test_the_file_of_the_contract_is_kept_and_what_is_incomplete_refuses(tmp_path):
    load(tmp_path, AS_IT_STANDS)

    inboxes = list(Inbox.objects.order_by("type"))
    assert [inbox.type for inbox in inboxes] == ["feishu", "wecom"]
    assert all(inbox.enabled for inbox in inboxes)
    for inbox in inboxes:
        answer = Client().post(f"/hooks/{inbox.key}/", b"{}", "application/json")
        # Without its adapter a channel has no door; with it, nothing unproven gets in.
        expected = (400, 401, 403) if registry.has_adapter(inbox.type) else (404,)
        assert answer.status_code in expected
        if inbox_health.of(inbox, now=timezone.now()).brief.missing_for_callback:
            assert answer.status_code == 403


@pytest.mark.parametrize("kind", Inbox.Type.values)
def test_every_type_comes_out_as_it_went_in(tmp_path, monkeypatch, kind):
    secrets = {
        name: VALUES.get(name, f"value-of-{name}") for name in inbox_fields.credential_names(kind)
    }
    entry = {"type": kind, "key": "one", "name": "一个", "expires_on": "2027-01-31", **secrets}
    load(tmp_path, yaml.safe_dump({"channels": [entry]}, allow_unicode=True))
    first = exported()
    for name, secret in secrets.items():
        monkeypatch.setenv(f"KEFU_ONE_{name.upper()}", secret)

    Inbox.objects.all().delete()
    load(tmp_path, first)

    assert exported() == first
    inbox = Inbox.objects.get()
    assert inbox.credentials == secrets
    assert inbox.settings == {"expires_on": "2027-01-31"}


@pytest.mark.parametrize("kind", Inbox.Type.values)
def test_an_entry_with_its_type_alone_is_kept_and_says_what_it_lacks(tmp_path, kind):
    load(tmp_path, f"channels:\n  - type: {kind}\n")

    inbox = Inbox.objects.get()
    health = inbox_health.of(inbox, now=timezone.now())
    office = Client()
    office.force_login(factories.user(role="admin"))
    page = office.get(reverse("admin:tickets_inbox_changelist")).content.decode()
    lacks = health.brief.missing_for_callback
    assert ("未完成配置" in page) == bool(lacks)
    assert all(name.partition(" ")[0] in page for name in lacks)
    assert office.get(reverse("admin:tickets_inbox_change", args=[inbox.pk])).status_code == 200
    if lacks:
        hook = Client().post(f"/hooks/{inbox.key}/", b"{}", "application/json")
        assert hook.status_code == 403


@pytest.mark.parametrize("day", ["31.12.2026", "2026-02-30", "soon", 20261231])
def test_a_day_that_is_none_is_an_error_of_its_line(tmp_path, day):
    wrong = f"channels:\n  - type: line\n    expires_on: {day!r}\n"

    with pytest.raises(Exception, match=r":3.*2026-12-31 is expected"):
        load(tmp_path, wrong)
    assert not Inbox.objects.exists()
