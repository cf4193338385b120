"""Secrets go in and do not come out: not in logs, not in tables of attempts, not in exports."""

import io
import logging

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from tests import factories
from tickets.services import configuration

pytestmark = pytest.mark.django_db
SECRET = "super-secret-value-9f3a"


def test_what_people_type_as_a_password_is_kept_nowhere(agent, client, caplog):
    with caplog.at_level(logging.DEBUG):
        client.post("/login/", {"username": "wangfang", "password": "nearly-my-passphrase"})
        client.post("/login/", {"username": "wangfang", "password": "a-long-passphrase"})

    assert "nearly-my-passphrase" not in caplog.text
    assert "a-long-passphrase" not in caplog.text
    assert "nearly-my-passphrase" not in str(list(AccessAttempt.objects.values()))


def test_a_credential_is_in_no_log(web_inbox, caplog):
    client = Client()
    client.force_login(factories.user(role="admin"))
    url = f"/admin/tickets/inbox/{web_inbox.pk}/change/"

    with caplog.at_level(logging.DEBUG):
        client.post(
            url,
            {
                "name": "web", "credential_identity_secret": SECRET, "setting_reopen": "new",
                "setting_max_age_s": "300", "setting_text_limit": "4000",
                "setting_rate_visitor": "60", "setting_rate_network": "6000",
            },
        )  # fmt: skip

    web_inbox.refresh_from_db()
    assert web_inbox.credentials == {"identity_secret": SECRET}
    # What the database is told is not logged either, outside DEBUG.
    said = [r.getMessage() for r in caplog.records if not r.name.startswith("django.db")]
    assert SECRET not in "\n".join(said)


def test_an_export_names_secrets_and_does_not_tell_them(web_inbox):
    configuration.store(web_inbox, credentials={"identity_secret": SECRET})
    out = io.StringIO()

    call_command("export_config", stdout=out)

    assert SECRET not in out.getvalue()
    assert "${" in out.getvalue()


def test_the_second_factor_in_waiting_tells_no_password(agent, client, settings):
    settings.REQUIRE_TWO_FACTOR = True

    client.post("/login/", {"username": "wangfang", "password": "a-long-passphrase"})

    stored = [session.get_decoded() for session in Session.objects.all()]
    assert "a-long-passphrase" not in str(stored)
    assert "_auth_user_id" not in str(stored)
