"""The administration in a browser: it works under its policy, and nothing is refused by it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.hands import log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def office(site, context):
    """The administration, entered as the admin; what the policy refused is gathered."""
    page = context(viewport={"width": 1440, "height": 900}).new_page()
    refused: list[str] = []
    page.on(
        "console",
        lambda line: (
            refused.append(f"{line.location} {line.text}")
            if "Content Security Policy" in line.text
            else None
        ),
    )
    page.goto(f"{site.url}/admin/")
    log_in(page, "boss")
    expect(page).to_have_url(re.compile(r"/admin/$"))
    yield page
    assert refused == []


def test_lists_and_forms_work_under_the_policy(site, office, inbox):
    office.goto(f"{site.url}/admin/tickets/inbox/")
    expect(office.get_by_role("link", name="清禾官方客服").first).to_be_visible()
    office.goto(f"{site.url}/admin/tickets/inbox/?q={inbox}")
    office.get_by_role("link", name="清禾官方客服").first.click()

    office.locator("[name=credential_identity_secret]").fill("a-secret-of-the-shop-7788")
    office.locator("[name=_save]").first.click()
    office.get_by_role("link", name="清禾官方客服").first.click()

    expect(office.locator("[name=credential_identity_secret]")).to_have_attribute(
        "placeholder", "…7788"
    )


def test_the_conversations_of_the_house_are_there_to_look_at(site, office):
    office.goto(f"{site.url}/admin/tickets/conversation/")

    expect(office.locator("#changelist")).to_be_visible()


def test_the_second_factor_is_set_up_with_a_picture(site, office):
    office.goto(f"{site.url}/account/two-factor/")

    picture = office.locator("img.qr")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")


def test_the_pages_of_the_api_work_under_the_policy(site, office):
    office.goto(f"{site.url}/api/v1/docs/")

    expect(office.locator(".swagger-ui .info .title").first).to_be_visible()


def test_shadows_are_compared_and_voted_on(site, office, inbox):
    site.do("shadowed", inbox=inbox, question="几天能退", live="七天内可以退。", beside="七天。")
    office.goto(f"{site.url}/admin/ai_gateway/shadowanswer/")
    row = office.get_by_role("row").filter(has_text="七天内可以退。").first
    expect(row).to_contain_text("七天。")

    row.get_by_role("button", name="可以用").click()

    expect(row.get_by_role("button", name="可以用")).to_have_attribute("aria-pressed", "true")
    expect(row.get_by_role("button", name="不能用")).to_have_attribute("aria-pressed", "false")


def test_an_answer_is_replayed_and_becomes_a_case(site, office, inbox):
    number = site.do(
        "shadowed", inbox=inbox, question="请问保修多久", live="保修一年。", beside="一年。"
    )
    site.do("rule", name=inbox, keywords=["保修多久"], answer="保修两年。")
    office.goto(f"{site.url}/admin/tickets/message/{number}/change/")
    office.get_by_role("link", name="决策回放").first.click()

    office.get_by_role("button", name="用当前配置重跑").click()
    expect(office.locator("del")).to_have_text("一")
    expect(office.locator("ins")).to_have_text("两")

    office.get_by_role("button", name="把当时的回答加入回归用例").click()
    expect(office.locator("[name=expected_text]")).to_have_value("保修一年。")
