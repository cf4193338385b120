"""Who changed the configuration from outside the administration stands in its log."""

import json
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from tests import factories
from tickets.errors import InUse
from tickets.models import Inbox, Team
from tickets.services import api_keys, configuration

pytestmark = pytest.mark.django_db

SECRET = "an-identity-secret-9f3a"


@pytest.fixture
def as_admin() -> Client:
    administrator = factories.user(role="admin")
    administrator.is_staff = True
    administrator.save()
    client = Client()
    client.force_login(administrator)
    return client


@pytest.fixture
def program() -> APIClient:
    """A program whose key acts for nobody."""
    _, token = api_keys.create(name="ERP", scopes=["read", "write", "admin"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def page_of(client: Client) -> str:
    return client.get("/admin/admin/logentry/").content.decode()


def parts(entry: LogEntry) -> dict[str, object]:
    return {
        name: value for part in json.loads(entry.change_message) for name, value in part.items()
    }


def test_a_change_by_a_program_names_its_key_and_both_values(program, as_admin, team):
    program.patch(f"/api/v1/teams/{team.slug}/", {"name": "新售前"}, format="json")

    entry = LogEntry.objects.get()
    assert parts(entry)["diff"] == {"name": ["售后", "新售前"]}
    assert not entry.user.is_active
    assert "API 密钥 ERP（kefu_" in page_of(as_admin)
    assert "name: 售后 → 新售前" in page_of(as_admin)


def test_a_change_that_changes_nothing_is_not_kept(program, team):
    program.patch(f"/api/v1/teams/{team.slug}/", {"name": team.name}, format="json")

    assert not LogEntry.objects.exists()


def test_what_is_refused_is_not_kept(program, team):
    assert program.post("/api/v1/teams/", {"slug": team.slug}, format="json").status_code == 400
    assert (
        program.patch(f"/api/v1/teams/{team.slug}/", {"name": ""}, format="json").status_code == 400
    )

    assert not LogEntry.objects.exists()


def test_members_of_a_team_are_kept_by_name(program, team, agent):
    Team.objects.get(pk=team.pk).members.clear()

    program.patch(f"/api/v1/teams/{team.slug}/", {"members": [agent.username]}, format="json")

    assert parts(LogEntry.objects.get())["diff"] == {"members": ["", str(agent)]}


def test_secrets_show_their_last_four_characters(program, web_inbox, as_admin):
    url = f"/api/v1/inboxes/{web_inbox.key}/"

    answer = program.patch(url, {"credentials": {"identity_secret": SECRET}}, format="json")

    assert answer.status_code == 200
    message = LogEntry.objects.get().change_message
    assert SECRET not in message
    assert "…9f3a" in message
    assert SECRET not in page_of(as_admin)


def test_new_and_removed_rows_are_kept_too(program):
    program.post("/api/v1/labels/", {"name": "退款"}, format="json")
    program.delete("/api/v1/labels/退款/")

    kept = LogEntry.objects.order_by("pk").values_list("action_flag", "object_repr")
    assert list(kept) == [(1, "退款"), (3, "退款")]


def test_a_new_key_is_kept_without_its_token(program):
    answer = program.post("/api/v1/api-keys/", {"name": "BI", "scopes": ["read"]}, format="json")

    entry = LogEntry.objects.get()
    assert entry.object_repr == str(api_keys.ApiKey.objects.get(name="BI"))
    assert answer.json()["key"] not in entry.change_message


def test_a_key_that_acts_for_somebody_is_named_with_them(team):
    boss = factories.user(role="admin")
    _, token = api_keys.create(name="脚本", scopes=["read", "admin"], user=boss)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    client.patch(f"/api/v1/teams/{team.slug}/", {"name": "新"}, format="json")

    entry = LogEntry.objects.get()
    assert (entry.user, parts(entry)["by"]["key"]) == (boss, "脚本")


def test_a_person_in_the_browser_is_named_alone(team):
    boss = factories.user(role="admin")
    client = Client()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")

    answer = client.patch(
        f"/api/v1/teams/{team.slug}/", {"name": "新"}, content_type="application/json"
    )

    assert answer.status_code == 200
    assert [(e.user, "by" in parts(e)) for e in LogEntry.objects.all()] == [(boss, False)]


def config(folder: Path, *arguments: str) -> None:
    file = folder / "kefu.yaml"
    file.write_text(
        "teams: [{slug: vip, name: 贵宾}]\n"
        f"channels: [{{type: web, key: shop, name: 官网, identity_secret: {SECRET}}}]\n"
        "agents: [{username: mei, name: 小美, teams: [vip], role: lead}]\n"
    )
    call_command("import_config", str(file), *arguments)


def test_an_import_names_its_command_once_and_says_what_it_changed(tmp_path, as_admin):
    config(tmp_path)
    first = list(LogEntry.objects.values_list("pk", flat=True))
    assert {entry.object_repr for entry in LogEntry.objects.all()} >= {"贵宾", "官网", "mei"}
    assert not LogEntry.objects.filter(change_message__contains=SECRET).exists()

    config(tmp_path)

    assert list(LogEntry.objects.values_list("pk", flat=True)) == first
    assert "命令 import_config" in page_of(as_admin)
    assert SECRET not in page_of(as_admin)


def test_a_dry_run_keeps_nothing(tmp_path):
    config(tmp_path, "--dry-run")

    assert not LogEntry.objects.exists()
    assert not Inbox.objects.exists()


def test_whoever_stands_in_the_log_stays(tmp_path):
    config(tmp_path)

    with pytest.raises(InUse):
        configuration.remove(User.objects.get(username="kefu-programs"))


def test_a_contact_who_is_removed_is_not_named_in_the_log(program, web_inbox):
    contact = factories.identity(web_inbox).contact

    program.delete(f"/api/v1/contacts/{contact.public_id}/")

    assert not LogEntry.objects.exists()
