"""contacts/, inboxes/, uploads/, teams/, labels/, agents/, quick-replies/ and api-keys/."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from tests import factories
from tests.api.conftest import Caller
from tickets import intake
from tickets.models import BusinessHours, ContactIdentity, Envelope, Inbox, Message

pytestmark = pytest.mark.django_db


def attrs(answer) -> list:
    assert answer.status_code == 400, answer.content
    return [error["attr"] for error in answer.json()["errors"]]


# Contacts -------------------------------------------------------------------------------------


def test_a_contact_is_made_changed_found_and_deleted(api):
    made = api.post("contacts/", {"name": "李雷", "email": "li@example.com", "custom": {"vip": 1}})
    path = f"contacts/{made.json()['id']}/"
    changed = api.patch(path, {"phone": "13800000000", "blocked": True}).json()

    assert made.status_code == 201
    assert (changed["name"], changed["phone"], changed["blocked"]) == ("李雷", "13800000000", True)
    assert [row["id"] for row in api.get("contacts/?q=138").json()["results"]] == [changed["id"]]
    assert api.get("contacts/?q=nobody").json()["results"] == []
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_contact_with_conversations_is_not_deleted(api, conversation):
    answer = api.delete(f"contacts/{conversation.contact.public_id}/")

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "in_use")


def test_an_address_is_added_once_and_finds_its_contact(api, web_inbox):
    contact = api.post("contacts/", {"name": "韩梅梅"}).json()["id"]
    body = {"inbox": "web-demo", "external_id": "u-1"}

    added = api.post(f"contacts/{contact}/identities/", body)
    again = api.post(f"contacts/{contact}/identities/", body)

    assert (added.status_code, again.status_code) == (201, 409)
    assert api.get(f"contacts/{contact}/identities/").json()["results"] == [added.json()]
    found = api.get("contacts/?identity=u-1").json()["results"]
    assert [row["id"] for row in found] == [contact]


def test_a_merge_joins_two_and_its_undo_parts_them(api, web_inbox):
    stays, goes = (factories.identity(web_inbox) for _ in range(2))
    path = f"contacts/{stays.contact.public_id}/"

    links = api.post(f"{path}merge/", {"contact": str(goes.contact.public_id)}).json()["links"]
    goes.refresh_from_db()
    assert goes.contact == stays.contact

    undone = api.post(f"{path}links/{links[0]}/undo/")

    assert undone.status_code == 200
    assert ContactIdentity.objects.get(pk=goes.pk).contact == goes.home


def test_a_contact_is_not_merged_with_itself(api, conversation):
    id = str(conversation.contact.public_id)

    answer = api.post(f"contacts/{id}/merge/", {"contact": id})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "not_mergeable")


# Inboxes --------------------------------------------------------------------------------------


def test_an_inbox_shows_only_the_end_of_its_secrets(api, team):
    BusinessHours.objects.create(name="工作日")
    made = api.post(
        "inboxes/",
        {
            "type": "feishu",
            "name": "飞书",
            "key": "fs1",
            "team": "aftersale",
            "credentials": {"token": "secret-1234", "app_id": "cli_abcdefgh"},
            "settings": {"auto_reply": False, "hours": "工作日"},
        },
    )

    assert made.status_code == 201, made.content
    row = made.json()
    assert row["credentials"] == {"app_id": "…efgh", "verification_token": "…1234"}
    assert (row["settings"]["auto_reply"], row["settings"]["hours"]) == (False, "工作日")
    assert row["callback_url"].endswith("/hooks/fs1/")
    changed = api.patch("inboxes/fs1/", {"credentials": {**row["credentials"], "app_id": None}})
    assert changed.json()["credentials"] == {"verification_token": "…1234"}
    assert Inbox.objects.get().credentials == {"verification_token": "secret-1234"}


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "type"),
        ({"type": "fax"}, "type"),
        ({"type": "web", "key": "a b"}, "key"),
        ({"type": "web", "key": "x" * 41}, "key"),
        ({"type": "web", "team": "nobody"}, "team"),
        ({"type": "web", "enabled": "yes"}, "enabled"),
        ({"type": "web", "credentials": {"token": "x"}}, "credentials.token"),
        ({"type": "web", "credentials": {"identity_secret": 5}}, "credentials.identity_secret"),
        ({"type": "web", "settings": {"text_limit": "5"}}, "settings.text_limit"),
        ({"type": "web", "settings": {"text_limit": 10**40}}, "settings.text_limit"),
        ({"type": "web", "settings": {"auto_reply": 1}}, "settings.auto_reply"),
        ({"type": "web", "settings": {"hours": "none"}}, "settings.hours"),
        ({"type": "web", "settings": {"reopen": []}}, "settings.reopen"),
        ({"type": "web", "settings": {"rate_limit": {"visitor": -1}}}, "settings.rate_limit"),
        ({"type": "web", "settings": {"allowed_origins": ["shop"]}}, "settings.allowed_origins"),
        ({"type": "web", "settings": {"base_url": "http://169.254.169.254/"}}, "settings.base_url"),
        ({"type": "feishu", "settings": {"text_limit": 5}}, "settings.text_limit"),
        ({"type": "web", "colour": "red"}, "colour"),
    ],
)
def test_an_inbox_that_cannot_be_is_refused_by_field(api, body, attr):
    assert attrs(api.post("inboxes/", body)) == [attr]


def test_an_inbox_with_messages_stays(api, conversation):
    assert api.delete("inboxes/web-demo/").status_code == 409
    factories.inbox("api", key="empty")
    assert api.delete("inboxes/empty/").status_code == 204


def test_the_generic_channel_takes_a_message_once(api, committed):
    factories.inbox("api", key="bridge")
    body = {"source_id": "m-1", "from": {"id": "u-1", "name": "李雷"}, "text": "你好"}

    first = api.post("inboxes/bridge/messages/", body)
    again = api.post("inboxes/bridge/messages/", {**body, "text": "别的"})

    assert (first.status_code, again.status_code) == (202, 200)
    envelope = Envelope.objects.get()
    assert intake.drain(envelope.lane, now=factories.NOON) == 1
    message = Message.objects.get(source_id="m-1")
    assert (message.text, message.conversation.contact.name) == ("你好", "李雷")


def test_the_generic_channel_takes_uploads_of_the_same_program(api):
    factories.inbox("api", key="bridge")
    upload = send(api, png(), "a.png").json()["id"]
    body = {"source_id": "m-1", "from": {"id": "u-1"}, "attachments": [upload]}

    assert api.post("inboxes/bridge/messages/", body).status_code == 202
    assert api.post("inboxes/bridge/messages/", body).status_code == 200
    assert attrs(api.post("inboxes/bridge/messages/", {**body, "source_id": "m-2"})) == [
        "attachments"
    ]
    intake.drain(Envelope.objects.get().lane, now=factories.NOON)
    assert Message.objects.get(source_id="m-1").attachments.count() == 1


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"source_id": "m", "from": {"id": "u"}}, "text"),
        ({"source_id": "m", "text": "x"}, "from"),
        ({"source_id": "m", "from": "u", "text": "x"}, "from.non_field_errors"),
        ({"source_id": "m", "from": {"id": "u", "age": 5}, "text": "x"}, "from.age"),
        ({"from": {"id": "u"}, "text": "x"}, "source_id"),
        ({"source_id": "a\x00", "from": {"id": "u"}, "text": "x"}, "source_id"),
        ({"source_id": "m", "from": {"id": "u"}, "text": "x", "sent_at": "now"}, "sent_at"),
    ],
)
def test_an_inbound_message_that_cannot_be_is_refused(api, body, attr):
    factories.inbox("api", key="bridge")

    assert attrs(api.post("inboxes/bridge/messages/", body)) == [attr]


def test_a_disabled_or_foreign_inbox_takes_nothing(api, web_inbox):
    factories.inbox("api", key="off", enabled=False)
    body = {"source_id": "m", "from": {"id": "u"}, "text": "x"}

    assert api.post("inboxes/off/messages/", body).status_code == 404
    assert api.post("inboxes/web-demo/messages/", body).status_code == 409


# Uploads --------------------------------------------------------------------------------------


def png() -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(output, "PNG")
    return output.getvalue()


def send(api, content: bytes, name: str, **fields):
    files = {"file": SimpleUploadedFile(name, content), **fields}
    return api.client.post("/api/v1/uploads/", files, format="multipart")


def test_a_picture_is_kept_and_goes_with_a_message(api, caller, agent, conversation):
    as_agent = caller("read", "write", agent=agent)
    upload = send(as_agent, png(), "../../a.png")
    assert upload.status_code == 201
    row = upload.json()
    assert (row["name"], row["content_type"]) == ("a.png", "image/png")
    path = f"conversations/{conversation.public_id}/messages/"

    others = api.post(path, {"text": "x", "attachments": [row["id"]]})
    sent = as_agent.post(path, {"attachments": [row["id"]]})
    again = as_agent.post(path, {"attachments": [row["id"]]})

    assert (others.status_code, sent.status_code, again.status_code) == (400, 201, 400)
    assert [a["id"] for a in sent.json()["attachments"]] == [row["id"]]


def test_what_may_not_be_kept_is_refused(api, settings):
    settings.ATTACHMENT_MAX_BYTES = 100

    assert send(api, b"<html><script>1</script>", "a.txt").status_code == 415
    assert send(api, b"", "a.txt").status_code == 415
    assert send(api, b"x" * 101, "a.txt").status_code == 413
    assert attrs(send(api, b"x", "a.txt", colour="red")) == ["colour"]
    assert attrs(api.client.post("/api/v1/uploads/", {}, format="multipart")) == ["file"]
    assert api.post("uploads/", {"file": "x"}).status_code == 415


# People and words -----------------------------------------------------------------------------


def test_an_agent_is_made_changed_and_dismissed(api, team):
    made = api.post(
        "agents/",
        {"username": "zhang.wei", "name": "张伟", "teams": ["aftersale"], "role": "lead",
         "skills": ["退款"], "password": "a-very-long-passphrase"},
    )  # fmt: skip
    changed = api.patch("agents/zhang.wei/", {"capacity": 3, "teams": []})

    assert made.json() == {
        "username": "zhang.wei", "name": "张伟", "email": "", "role": "lead",
        "teams": ["aftersale"], "status": "offline", "capacity": 8, "load": 0,
        "skills": ["退款"], "languages": [],
    }  # fmt: skip
    assert (changed.json()["capacity"], changed.json()["teams"]) == (3, [])
    assert User.objects.get(username="zhang.wei").check_password("a-very-long-passphrase")
    assert attrs(api.post("agents/", {"username": "zhang.wei"})) == ["username"]
    assert api.delete("agents/zhang.wei/").status_code == 204
    assert api.get("agents/zhang.wei/").status_code == 404


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a", "teams": ["no"]}, "teams"),
        ({"username": "a", "role": "king"}, "role"),
        ({"username": "a", "capacity": 99999999999}, "capacity"),
        ({"username": "a", "password": "short"}, "password"),
        ({"username": "a", "skills": [5]}, "skills.0"),
        ({"username": "a", "load": 5}, "load"),
    ],
)
def test_an_agent_that_cannot_be_is_refused(api, body, attr):
    assert attrs(api.post("agents/", body))[0] == attr


def test_a_team_is_made_changed_and_deleted(api, agent):
    made = api.post("teams/", {"slug": "tech", "name": "技术", "members": ["wangfang"]})
    changed = api.patch("teams/tech/", {"strategy": "manual", "members": []})

    assert made.json() == {
        "slug": "tech", "name": "技术", "strategy": "least_busy", "members": ["wangfang"],
    }  # fmt: skip
    assert (changed.json()["strategy"], changed.json()["members"]) == ("manual", [])
    assert attrs(api.post("teams/", {"slug": "tech"})) == ["slug"]
    assert attrs(api.patch("teams/tech/", {"slug": "other"})) == ["slug"]
    assert api.delete("teams/tech/").status_code == 204


def test_a_team_that_has_conversations_or_inboxes_stays(api, team, web_inbox, conversation):
    refused = api.delete("teams/aftersale/")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "in_use")

    Inbox.objects.update(team=None)
    assert api.delete("teams/aftersale/").status_code == 409
    conversation.refresh_from_db()
    assert conversation.team == team


def test_a_label_is_found_by_its_name_or_id(api):
    made = api.post("labels/", {"name": "退款", "color": "#112233"}).json()

    assert api.get("labels/退款/").json() == made
    assert api.patch(f"labels/{made['id']}/", {"color": "#000000"}).json()["color"] == "#000000"
    assert attrs(api.post("labels/", {"name": "退款"})) == ["name"]
    assert attrs(api.post("labels/", {"name": "a/b"})) == ["name"]
    assert attrs(api.post("labels/", {"name": "x", "color": "red"})) == ["color"]
    assert api.delete("labels/退款/").status_code == 204


def test_a_quick_reply_is_its_teams(api, caller, agent, team):
    theirs = caller("read", "write", agent=agent)
    stranger = caller("read", "write", agent=factories.user(teams=[factories.team("other")]))
    made = theirs.post("quick-replies/", {"short_code": "hi", "text": "您好", "team": "aftersale"})
    path = f"quick-replies/{made.json()['id']}/"

    assert made.status_code == 201
    assert stranger.get("quick-replies/").json()["results"] == []
    assert stranger.patch(path, {"text": "x"}).status_code == 404
    assert attrs(
        stranger.post("quick-replies/", {"short_code": "a", "text": "b", "team": "aftersale"})
    ) == ["team"]
    assert theirs.patch(path, {"text": "欢迎"}).json()["text"] == "欢迎"
    assert attrs(api.post("quick-replies/", {"short_code": "hi", "text": "x"})) == ["short_code"]
    assert theirs.delete(path).status_code == 204


def test_an_api_key_is_told_once_and_can_be_withdrawn(api, agent):
    made = api.post("api-keys/", {"name": "bot", "scopes": ["read"], "agent": "wangfang"}).json()
    program = Caller(made["key"])
    shown = api.get(f"api-keys/{made['id']}/").json()

    assert program.get("teams/").status_code == 200
    assert "key" not in shown
    assert shown["agent"] == "wangfang"
    assert api.delete(f"api-keys/{made['id']}/").status_code == 204
    assert program.get("teams/").status_code == 401
    assert attrs(api.post("api-keys/", {"name": "x", "scopes": ["fly"]})) == ["scopes.0"]
    assert attrs(api.post("api-keys/", {"name": "x", "scopes": []})) == ["scopes"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[[" * 50_000, b'{"name": NaN}', b'{"name": ' + b"9" * 5000 + b"}", b"\xff\xfe", b"5",
     b'{"name": "\\ud800"}', b"null"],
)  # fmt: skip
def test_a_body_that_is_no_object_is_400(api, body):
    answer = api.client.generic("POST", "/api/v1/labels/", body, "application/json")

    assert answer.status_code == 400


def test_a_body_that_is_too_large_is_413(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    answer = api.post("labels/", {"name": "x" * 200})

    assert answer.status_code == 413
