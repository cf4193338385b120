"""The administration: who may enter, what is read-only, what is never shown, what is remembered."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tickets.admin.base import ReadOnlyAdmin
from tickets.models import ApiKey, Conversation, Inbox

pytestmark = pytest.mark.django_db
SECRET = "super-secret-value-9f3a"


@pytest.fixture
def administrator(db):
    return factories.user("guanli", role="admin")


@pytest.fixture
def as_admin(administrator):
    client = Client()
    client.force_login(administrator)
    return client


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


def form_values(page) -> dict[str, object]:
    """What a browser would send back of a change page, untouched."""
    form = page.context["adminform"].form
    values: dict[str, object] = {}
    for name in form.fields:
        value = form[name].value()
        if value is None or value is False:
            continue
        prepared = form.fields[name].prepare_value(value)
        values[name] = "on" if prepared is True else prepared
    return {**values, "_save": "1"}


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("auditor", 200)])
def test_admins_and_auditors_may_enter(role, status):
    assert client_of(role).get("/admin/").status_code == status


@pytest.mark.parametrize("role", ["agent", "lead"])
def test_agents_and_leads_may_not(role):
    client = client_of(role)

    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/").status_code == 403
    assert client.get("/admin/tickets/inbox/").status_code == 302


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=lambda m: m._meta.label))
def test_every_list_and_every_form_opens(as_admin, conversation, model):
    meta = model._meta
    rows = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")

    assert as_admin.get(rows).status_code == 200
    assert as_admin.get(rows, {"q": "王芳"}).status_code == 200
    row = model._default_manager.first()
    if row is not None:
        change = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
        assert as_admin.get(change).status_code == 200
    if admin.site._registry[model].has_add_permission(as_admin.get("/admin/").wsgi_request):
        add = reverse(f"admin:{meta.app_label}_{meta.model_name}_add")
        assert as_admin.get(add).status_code == 200


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=lambda m: m._meta.label))
def test_lists_and_forms_name_their_fields_in_chinese(as_admin, model):
    request = as_admin.get("/admin/").wsgi_request
    page = admin.site._registry[model]
    shown = [*page.get_list_display(request), *flatten_fieldsets(page.get_fieldsets(request))]
    fields = {field.name: field for field in model._meta.get_fields() if hasattr(field, "column")}
    names = {name: str(fields[name].verbose_name) for name in shown if name in fields}

    assert {name for name, said in names.items() if said == name.replace("_", " ")} == set()


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=lambda m: m._meta.label))
def test_an_auditor_looks_at_everything_and_changes_nothing(conversation, model):
    client = client_of("auditor")
    meta = model._meta
    name = f"admin:{meta.app_label}_{meta.model_name}"

    assert client.get(reverse(f"{name}_changelist")).status_code == 200
    assert client.post(reverse(f"{name}_add"), {}).status_code == 403
    row = model._default_manager.first()
    if row is not None:
        assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert client.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
        assert client.post(reverse(f"{name}_delete", args=[row.pk]), {}).status_code == 403


def test_what_services_write_is_read_only_for_admins_too(as_admin, conversation):
    url = reverse("admin:tickets_conversation_change", args=[conversation.pk])

    assert isinstance(admin.site._registry[Conversation], ReadOnlyAdmin)
    assert as_admin.post(url, {"status": "resolved"}).status_code == 403
    assert (
        as_admin.post(
            reverse("admin:tickets_conversation_delete", args=[conversation.pk])
        ).status_code
        == 403
    )


def test_the_list_of_conversations_costs_the_same_for_one_and_for_three(as_admin, web_inbox):
    url = reverse("admin:tickets_conversation_changelist")
    counts = []
    for more in (1, 2):
        for _ in range(more):
            factories.conversation(factories.identity(web_inbox))
        as_admin.get(url)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            as_admin.get(url)
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 15


def test_counting_stops(as_admin, conversation):
    with CaptureQueriesContext(connection) as queries:
        as_admin.get(reverse("admin:tickets_message_changelist"))

    counting = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "tickets_message" in q["sql"]]
    assert counting
    assert all("LIMIT 10000" in sql for sql in counting)


def test_an_action_calls_the_service_and_is_remembered(as_admin, conversation):
    url = reverse("admin:tickets_conversation_changelist")

    as_admin.post(url, {"action": "resolve", "_selected_action": [conversation.pk]})

    conversation.refresh_from_db()
    assert conversation.status == "resolved"
    assert '"status": ["bot", "resolved"]' in LogEntry.objects.get().change_message


def test_an_inbox_is_made_and_then_asked_for_what_its_type_needs(as_admin, web_inbox):
    made = as_admin.post(
        "/admin/tickets/inbox/add/", {"name": "飞书", "type": "feishu", "key": "feishu-1"}
    )
    inbox = Inbox.objects.get(key="feishu-1")

    assert made["Location"] == f"/admin/tickets/inbox/{inbox.pk}/change/"
    fields = as_admin.get(made["Location"]).context["adminform"].form.fields
    assert "credential_app_secret" in fields
    assert "setting_typing_preview" not in fields


def test_a_secret_goes_in_and_only_its_end_comes_out(as_admin, web_inbox):
    url = reverse("admin:tickets_inbox_change", args=[web_inbox.pk])
    values = form_values(as_admin.get(url))

    saved = as_admin.post(url, {**values, "credential_identity_secret": SECRET})
    page = as_admin.get(url).content.decode()

    assert saved.status_code == 302
    web_inbox.refresh_from_db()
    assert web_inbox.credentials == {"identity_secret": SECRET}
    assert SECRET not in page
    assert "…9f3a" in page
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM tickets_inbox")
        assert SECRET not in cursor.fetchone()[0]
    assert SECRET not in LogEntry.objects.get().change_message
    assert "9f3a" in LogEntry.objects.get().change_message
    audit = as_admin.get("/admin/admin/logentry/").content.decode()
    assert SECRET not in audit
    as_admin.post(url, form_values(as_admin.get(url)))
    web_inbox.refresh_from_db()
    assert web_inbox.credentials == {"identity_secret": SECRET}
    as_admin.post(url, {**form_values(as_admin.get(url)), "clear_credentials": ["identity_secret"]})
    web_inbox.refresh_from_db()
    assert web_inbox.credentials == {}


def test_settings_have_types_and_bounds(as_admin, web_inbox):
    url = reverse("admin:tickets_inbox_change", args=[web_inbox.pk])
    values = form_values(as_admin.get(url))

    wrong = as_admin.post(
        url, {**values, "setting_text_limit": "0", "setting_allowed_origins": "shop"}
    )
    assert set(wrong.context["adminform"].form.errors) == {
        "setting_text_limit",
        "setting_allowed_origins",
    }
    as_admin.post(
        url,
        {
            **values,
            "setting_text_limit": "500",
            "setting_allowed_origins": "https://shop.example",
            "setting_rate_visitor": "9",
        },
    )

    web_inbox.refresh_from_db()
    assert web_inbox.settings == {
        "text_limit": 500,
        "allowed_origins": ["https://shop.example"],
        "rate_limit": {"visitor": 9, "network": 6000},
    }


def test_a_change_is_kept_with_its_values_before_and_after(as_admin, web_inbox):
    url = reverse("admin:tickets_inbox_change", args=[web_inbox.pk])

    as_admin.post(url, {**form_values(as_admin.get(url)), "name": "官网"})

    page = as_admin.get("/admin/admin/logentry/").content.decode()
    assert "name: web → 官网" in page


def test_the_audit_log_is_nobodys_to_change(as_admin, web_inbox):
    as_admin.post("/admin/tickets/label/add/", {"name": "重要", "color": "#112233"})
    entry = LogEntry.objects.get()

    assert (
        as_admin.post(f"/admin/admin/logentry/{entry.pk}/delete/", {"post": "yes"}).status_code
        == 403
    )
    assert LogEntry.objects.count() == 1


def test_a_new_api_key_is_shown_once(as_admin):
    form = {"name": "脚本", "scopes": ["read"], "per_minute": "600"}

    shown = as_admin.post("/admin/tickets/apikey/add/", form)

    token = shown.context["token"]
    key = ApiKey.objects.with_token(token).get()
    assert token in shown.content.decode()
    for url in (f"/admin/tickets/apikey/{key.pk}/change/", "/admin/tickets/apikey/", "/admin/"):
        assert token not in as_admin.get(url).content.decode()
    assert token not in LogEntry.objects.get().change_message


def test_the_role_of_a_person_is_one_choice(as_admin, agent):
    url = reverse("admin:auth_user_change", args=[agent.pk])

    as_admin.post(
        url,
        {"username": agent.username, "first_name": "王芳", "role": "auditor", "is_active": "on"},
    )

    agent.refresh_from_db()
    assert [group.name for group in agent.groups.all()] == ["auditor"]


def test_nobody_becomes_superuser_by_the_form(as_admin, agent):
    url = reverse("admin:auth_user_change", args=[agent.pk])

    as_admin.post(
        url, {"username": agent.username, "role": "admin", "is_superuser": "on", "is_active": "on"}
    )

    agent.refresh_from_db()
    assert not agent.is_superuser


@pytest.mark.parametrize("where", ["one", "several"])
def test_a_team_in_use_is_not_deleted_and_the_page_says_by_what(
    as_admin, team, conversation, where
):
    other = factories.team("tech")
    if where == "one":
        page = as_admin.get(f"/admin/tickets/team/{team.pk}/delete/")
        as_admin.post(f"/admin/tickets/team/{team.pk}/delete/", {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": [team.pk, other.pk]}
        page = as_admin.post("/admin/tickets/team/", chosen)
        as_admin.post("/admin/tickets/team/", {**chosen, "post": "yes"})

    assert "正在使用：会话、接入点" in page.content.decode()
    conversation.refresh_from_db()
    assert conversation.team == team


def test_a_filter_with_a_character_that_is_none_leads_back_to_the_list(as_admin):
    answer = as_admin.get("/admin/tickets/conversation/?status=a%00b")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/tickets/conversation/?e=1")
