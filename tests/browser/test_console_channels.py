"""Which channel answers, what did not arrive, the way of a message, and who is one person."""

import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hands import bubbles, open_row, write

_numbers = itertools.count(1)


@pytest.fixture
def oa() -> str:
    return f"oa-{next(_numbers)}"


@pytest.fixture
def opened(site, inbox, console, oa):
    """The conversation of somebody who writes on the web and has an address on 公众号."""

    def open_it(closed: bool = False, **options: object) -> Page:
        text = f"问题 {inbox}"
        site.do("converse", inbox=inbox, text=text)
        site.do("second_channel", inbox=inbox, key=oa, name="官方号", closed=closed)
        page = console(**options)
        open_row(page, text)
        return page

    return open_it


def choose(page: Page, name: str) -> None:
    page.locator("#via").click()
    page.locator("#via-menu .menu-item", has_text=name).click()


def test_the_agent_chooses_the_channel_and_sees_its_window_until_the_person_writes_elsewhere(
    site, opened, inbox, oa
):
    page = opened()
    expect(page.locator("#via")).to_contain_text("清禾官方客服")
    expect(page.locator("#via-window")).to_have_text("")

    choose(page, "官方号")
    expect(page.locator("#via-window")).to_have_text(re.compile(r"窗口剩余 6:\d\d · 还可发 3 条"))
    write(page, "从公众号回复")
    expect(bubbles(page).filter(has_text="从公众号回复")).to_be_visible()
    expect(page.locator("#messages .divider-channel").last).to_contain_text("微信公众号")

    site.do("write_from", key=oa, text="我在公众号")
    expect(page.locator("#via")).to_contain_text("官方号")


def test_a_closed_window_takes_the_place_of_the_field_and_names_the_ways_out(
    site, opened, inbox, oa
):
    page = opened()
    choose(page, "官方号")
    page.locator("#composer-text").fill("草稿不能丢")

    site.do("close_window", key=oa)
    site.do("write_from", key=oa, text="我还在")
    expect(page.locator("#closed-panel")).to_contain_text("现在不能通过 官方号 回复")
    expect(page.locator("#composer-text")).to_be_hidden()
    page.locator("#via").click()
    expect(page.locator("#via-menu .menu-item", has_text="官方号")).to_be_disabled()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="改用 清禾官方客服 回复").click()
    expect(page.locator("#composer-text")).to_have_value("草稿不能丢")


def test_a_failed_reply_says_why_and_is_sent_again_once_confirmed(site, opened, oa):
    page = opened()
    choose(page, "官方号")
    write(page, "您的包裹已发出")
    expect(bubbles(page).filter(has_text="您的包裹已发出")).to_be_visible()

    site.do("platform_refuses", key=oa, code="45015")
    fault = page.locator("#messages [data-slot=fault]:visible")
    expect(fault).to_contain_text("微信 48 小时窗口已关闭")
    expect(fault).to_contain_text("45015")
    fault.get_by_role("button", name="重试").click()
    expect(fault).to_be_hidden()

    site.do("platform_refuses", key=oa, code="unknown")
    expect(fault).to_contain_text("结果未知")
    fault.get_by_role("button", name="重试").click()
    expect(fault).to_contain_text("可能重复")
    fault.get_by_role("button", name="仍然发送").click()
    expect(fault).to_be_hidden()


def test_a_click_on_the_tick_tells_the_way_of_the_message(opened):
    page = opened()
    write(page, "在的")
    expect(bubbles(page).filter(has_text="在的")).to_be_visible()

    page.locator("#messages .msg[data-look=agent] .ticks").click()
    panel = page.locator("#trace-panel")
    expect(panel.locator(".hop").first).to_contain_text("已存入会话")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_a_suggested_person_is_joined_told_of_and_parted_again(site, opened, inbox):
    page = opened()
    site.do("claims_phone", inbox=inbox, phone="13900001111", other_name="林小姐")
    page.reload()
    person = page.locator("#person")
    suggestion = person.locator(".is-suggestion")
    expect(suggestion).to_contain_text("手机号 +86139****1111 相同，未验证")

    suggestion.get_by_role("button", name="合并").click()
    expect(page.locator("#merge-joins")).to_have_text("林小姐")
    page.locator("#merge-ok").click()
    link = person.locator("[data-slot=links] .link")
    expect(link).to_contain_text("人工合并")
    expect(person.locator(".count")).to_have_text("3")

    link.get_by_role("button", name="撤销").click()
    expect(person.locator(".count")).to_have_text("2")
    suggestion.get_by_role("button", name="不是同一人").click()
    expect(suggestion).to_have_count(0)

    person.get_by_role("button", name="与另一位客户合并").click()
    page.locator("#merge-search").fill("林小姐")
    page.locator("#merge-found .found").first.click()
    expect(page.locator("#merge-kept")).to_have_text(re.compile("访客"))
    expect(page.locator("#merge-joins")).to_have_text("林小姐")


def test_the_head_of_the_context_tells_where_the_visitor_is(site, opened, inbox):
    page = opened()
    expect(page.locator("#presence")).to_be_visible()
    expect(page.locator("#presence")).to_have_text(re.compile("离线"))

    site.do("visits", inbox=inbox, page="https://shop.example/cart")
    page.reload()

    expect(page.locator("#presence")).to_have_text(re.compile(r"在线.*正在看 /cart"))
