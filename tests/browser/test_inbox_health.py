"""An inbox's page while its platform is being connected: the steps come in by themselves."""

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.hands import log_in
from tests.fakes.fake_platform import FakePlatform
from tests.fakes.server import as_json

pytestmark = pytest.mark.browser
UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 1, "date": 1_780_000_000, "chat": {"id": 7}, "text": "在吗",
        "from": {"id": 7, "first_name": "Anna"},
    },
}  # fmt: skip


@pytest.fixture
def office(site, context):
    page = context(viewport={"width": 1440, "height": 1000}).new_page()
    refused: list[str] = []
    page.on(
        "console",
        lambda line: refused.append(line.text) if "Content Security" in line.text else None,
    )
    page.goto(f"{site.url}/admin/")
    log_in(page, "boss")
    expect(page.locator("a[href='/admin/tickets/inbox/']").first).to_be_visible()
    yield page
    assert refused == []


def hook(site, key: str, token: str) -> int:
    request = urllib.request.Request(
        f"{site.url}/hooks/{key}/",
        json.dumps(UPDATE).encode(),
        {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": token},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_steps_and_check_follow_the_platform_without_a_reload(site, office):
    with FakePlatform() as platform:
        number = site.do(
            "channel", type="telegram", key="bot-1", name="电报客服",
            credentials={"bot_token": "1:abc", "secret_token": "right"},
            settings={"base_url": platform.origin},
        )  # fmt: skip
        office.goto(f"{site.url}/admin/tickets/inbox/{number}/change/")
        card = office.locator("#inbox-health")
        expect(card.locator('[data-step="called"]')).to_have_attribute("data-state", "waiting")

        assert hook(site, "bot-1", "wrong") == 403
        signed = card.locator('[data-step="signed"]')
        expect(signed).to_have_attribute("data-state", "failed")
        expect(signed).to_contain_text("令牌不对")

        assert hook(site, "bot-1", "right") == 200
        expect(card.locator('[data-step="message"]')).to_have_attribute("data-state", "done")
        expect(signed).to_have_attribute("data-state", "done")

        platform.answers["/bot1:abc/getMe"] = as_json(
            {"ok": False, "error_code": 401, "description": "Unauthorized"}, 401
        )
        card.get_by_role("button", name="测试发送凭据").click()
        expect(card.locator('[data-slot="said"]')).to_contain_text("401 Unauthorized")
        expect(card).to_have_attribute("data-level", "red")

        platform.answers["/bot1:abc/getMe"] = as_json({"ok": True, "result": {"id": 1}})
        card.get_by_role("button", name="测试发送凭据").click()
        expect(card.locator('[data-slot="said"]')).to_have_attribute("data-verdict", "good")
        expect(card).to_have_attribute("data-level", "amber")  # of the refused call
