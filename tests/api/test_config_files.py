"""import_config and export_config: contract §10."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from agents.models import Agent, QuickReply
from ai_gateway.models import AnswerRule, Endpoint
from tests import factories
from tickets.models import BusinessHours, Inbox, Label, Team

pytestmark = pytest.mark.django_db

CHANNELS = """\
channels:
  - type: feishu
    token: xxxx
    auto_reply: true
  - type: wecom
    corp_id: xxxx
    secret: xxxx
"""

EVERYTHING = """\
business_hours:
  - name: 工作日
    time_zone: Asia/Shanghai
    week: {mon: [["09:00", "18:00"]]}
teams:
  - {slug: presale, name: 售前, strategy: manual}
labels:
  - {name: 退款, color: "#112233"}
agents:
  - username: wangfang
    name: 王芳
    teams: [presale]
    role: lead
    capacity: 5
    skills: [退款]
    languages: [zh, en]
channels:
  - type: web
    key: shop
    name: 网店
    team: presale
    hours: 工作日
    identity_secret: ${SHOP_SECRET}
    rate_limit: {visitor: 30}
  - {type: wecom, key: wecom1, agent_id: 1000002, corp_id: ww1}
quick_replies:
  - {short_code: hi, text: 您好, team: presale}
endpoints:
  - {slug: main, backend: openai, api_key: sk-secret, model: m, default: true, fallbacks: [spare]}
  - {slug: spare, backend: dify}
answer_rules:
  - {name: 转人工, keywords: [人工], handoff: true, inbox: shop}
"""


def run(tmp_path: Path, text: str, *options: str, name: str = "kefu.yaml") -> str:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    output = StringIO()
    call_command("import_config", str(file), *options, stdout=output)
    return output.getvalue()


def exported() -> str:
    output = StringIO()
    call_command("export_config", stdout=output)
    return output.getvalue()


def wipe() -> None:
    for model in (AnswerRule, Endpoint, QuickReply, Inbox, Agent, Label, Team, BusinessHours):
        model.objects.all().delete()


def test_the_channels_of_the_contract_work_as_they_stand(tmp_path):
    run(tmp_path, CHANNELS)

    inboxes = {inbox.type: inbox for inbox in Inbox.objects.all()}
    assert set(inboxes) == {"feishu", "wecom"}
    assert inboxes["feishu"].credentials == {"verification_token": "xxxx"}
    assert inboxes["feishu"].settings == {"auto_reply": True}
    assert inboxes["wecom"].credentials == {"corp_id": "xxxx", "secret": "xxxx"}


def test_the_same_in_json_works_too(tmp_path):
    document = {"channels": [{"type": "feishu", "token": "xxxx", "name": "飞书 😀"}]}
    text = json.dumps(document, indent="\t")

    run(tmp_path, text, name="kefu.json")

    assert Inbox.objects.get().name == "飞书 😀"


def test_a_second_import_changes_nothing(tmp_path):
    run(tmp_path, EVERYTHING)

    assert run(tmp_path, EVERYTHING) == "nothing to change\n"
    assert run(tmp_path, exported()) == "nothing to change\n"


def test_what_was_exported_wiped_and_imported_is_exported_to_the_same_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_SECRET", "a-secret-of-the-shop")
    run(tmp_path, EVERYTHING)
    first = exported()
    assert "a-secret-of-the-shop" not in first
    assert "sk-secret" not in first
    assert "${KEFU_SHOP_IDENTITY_SECRET}" in first

    wipe()
    run(tmp_path, first)

    assert exported() == first


def test_a_secret_comes_from_the_environment_or_stays(tmp_path, monkeypatch):
    text = "channels: [{type: web, key: shop, identity_secret: '${SHOP_SECRET}'}]"
    monkeypatch.setenv("SHOP_SECRET", "one")
    run(tmp_path, text)
    monkeypatch.delenv("SHOP_SECRET")

    assert run(tmp_path, text) == "nothing to change\n"
    assert Inbox.objects.get().credentials == {"identity_secret": "one"}
    monkeypatch.setenv("SHOP_SECRET", "two")
    assert "~ channels shop: identity_secret: another secret" in run(tmp_path, text)


def test_a_dry_run_tells_and_changes_nothing(tmp_path):
    factories.team("presale", name="旧名")

    told = run(tmp_path, EVERYTHING, "--dry-run")

    assert "~ teams presale: name: 旧名 → 售前" in told
    assert "+ labels 退款" in told
    assert Team.objects.get().name == "旧名"
    assert not Label.objects.exists()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("channels:\n  - type: fax\n", 2, ["unknown 'fax'", "feishu"]),
        ("channels:\n  - name: x\n", 2, ["type is missing"]),
        ("channels:\n  - type: feishu\n    tokn: x\n", 3, ["unknown field 'tokn'", "token"]),
        ("channels:\n  - type: feishu\n    auto_reply: ja\n", 3, ["auto_reply", "true or false"]),
        ("channels:\n  - type: web\n    text_limit: 0\n", 3, ["text_limit", "from 1 to"]),
        ("channels:\n  - type: feishu\n    text_limit: 9\n", 3, ["unknown field"]),
        ("channels:\n  - type: web\n    team: nobody\n", 3, ["there is no 'nobody'"]),
        ("channels:\n  - type: web\n    key: a b\n", 3, ["key"]),
        ("channels: 5\n", 1, ["has to be a list"]),
        ("channels:\n  - 5\n", 2, ["has to be a mapping"]),
        ("routes:\n  - regex: x\n", 1, ["unknown list 'routes'", "channels"]),
        ("teams:\n  - slug: a\n    slug: b\n", 3, ["stands here twice"]),
        ("teams:\n  - slug: a\n  - slug: a\n", 3, ["already"]),
        ("teams:\n  - slug: &a x\n    name: *a\n", 3, ["aliases"]),
        ("teams:\n  - slug: [\n", 3, []),
        ("teams:\n  - slug: !!python/name:os.system x\n", 2, ["tag"]),
        ("labels:\n  - name: a\n    color: red\n", 3, ["color"]),
        ("agents:\n  - username: a\n    teams: [no]\n", 3, ["there is no 'no'"]),
        ("agents:\n  - username: a\n    capacity: many\n", 3, ["whole number"]),
        (
            "endpoints:\n  - slug: a\n    backend: dify\n    fallbacks: [b]\n",
            4,
            ["no endpoint 'b'"],
        ),
        ("answer_rules:\n  - name: a\n    regex: '('\n    answer: x\n", 3, ["regex"]),
        ("answer_rules:\n  - name: a\n    answer: x\n", 2, []),
        ("business_hours:\n  - name: a\n    week: {mon: [[9, 8]]}\n", 3, ["week"]),
        ("- a\n", 1, ["mapping"]),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line_and_nothing_changes(tmp_path, text, line, words):
    with pytest.raises(CommandError) as told:
        run(
            tmp_path,
            "labels: [{name: 好的}]\n" + text if not text.startswith(("- ", "labels")) else text,
        )

    shift = 0 if text.startswith(("- ", "labels")) else 1
    message = str(told.value)
    assert f"kefu.yaml:{line + shift}: " in message
    for word in words:
        assert word in message
    assert not Label.objects.exists()
    assert not Inbox.objects.exists()


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    with pytest.raises(CommandError) as told:
        run(tmp_path, "teams:\n  - {slug: 'a b'}\n  - {slug: c, colour: red}\nlabel: []\n")

    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in str(told.value).splitlines()] == [
        "2",
        "3",
        "4",
    ]


def test_a_file_that_is_not_there_or_not_text_is_one_line(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_config", str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"teams:\n\xff")
    with pytest.raises(CommandError, match=r"bytes\.yaml:2: not UTF-8"):
        call_command("import_config", str(tmp_path / "bytes.yaml"))
    (tmp_path / "x.json").write_text('{"teams": [}')
    with pytest.raises(CommandError, match=r"x\.json:1: not JSON"):
        call_command("import_config", str(tmp_path / "x.json"))
