"""Agents and visitors talk: the console and the chat page against the live application."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.hands import (
    AGENT_PASSWORD,
    PIXEL,
    bubbles,
    log_in,
    open_row,
    row,
    said_to_visitor,
    write,
    write_as_visitor,
)
from tests.browser.site import Site

Visit = Callable[..., Page]
Enter = Callable[..., Page]


def test_who_is_not_logged_in_is_asked_to_and_comes_back(
    site: Site, context: Callable[..., BrowserContext]
) -> None:
    page = context().new_page()

    page.goto(f"{site.url}/console/?bucket=team")
    page.fill("#id_username", "xiaofang")
    page.fill("#id_password", "not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("用户名或密码不正确")
    page.fill("#id_password", AGENT_PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/console/\?bucket=team$"))
    expect(page.locator("#buckets [aria-current=page]")).to_contain_text("同组")


def test_visitor_and_agent_talk_without_reloading(begun: Visit, console: Enter) -> None:
    shopper = begun("滤芯多久换一次")
    page = console()
    open_row(page, "滤芯多久换一次")

    write_as_visitor(shopper, "在线等")
    expect(bubbles(page).last).to_have_text("在线等")
    write(page, "每六个月换一次")

    expect(said_to_visitor(shopper).last).to_have_text("每六个月换一次")
    expect(bubbles(page).last).to_have_text("每六个月换一次")
    expect(page.locator("#outbox > *")).to_have_count(0)
    # The visitor saw it, and the agent is told.
    expect(page.locator("#messages .msg").last).to_have_attribute(
        "data-status", re.compile("sent|delivered|read")
    )


def test_a_new_conversation_comes_into_the_list_and_counts(begun: Visit, console: Enter) -> None:
    page = console()
    count = page.locator("[data-count=all]")
    before = int(count.inner_text())

    begun("有人吗，第一次来")

    expect(row(page, "有人吗，第一次来")).to_be_visible()
    expect(row(page, "有人吗，第一次来").locator("[data-slot=unread]")).to_have_text("1")
    expect(count).to_have_text(str(before + 1))


def test_an_internal_note_never_reaches_the_visitor(
    begun: Visit, console: Enter, site: Site
) -> None:
    shopper = begun("包裹破了")
    page = console()
    open_row(page, "包裹破了")

    page.keyboard.press("Alt+KeyP")
    write(page, "2605 批次，直接换新")
    expect(page.locator("#messages .note")).to_contain_text("2605 批次，直接换新")
    page.keyboard.press("Alt+KeyL")
    write(page, "马上给您换新")

    expect(said_to_visitor(shopper).last).to_have_text("马上给您换新")
    expect(shopper.locator("body")).not_to_contain_text("2605")


def test_taking_over_silences_the_bot_and_resolving_ends_it(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    shopper = begun("转接试试")
    page = console()
    open_row(page, "转接试试")
    site.do("bot_says", inbox=inbox, text="我是机器人")
    expect(page.locator("#messages .msg[data-look=bot] .chip")).to_have_text("机器人")

    page.locator(".conv-owner [data-action=take-over]").first.click()
    expect(page.locator("[data-slot=owner-text]")).to_have_text("小芳 接待")
    expect(page.locator(".status-chip")).to_contain_text("处理中")
    page.locator(".conv-actions [data-action=resolve]").click()
    expect(page.locator(".status-chip")).to_contain_text("已解决")
    expect(page.locator(".row-item .is-selected")).to_have_count(0)
    page.locator(".conv-actions [data-action=reopen]").click()

    expect(page.locator(".status-chip")).to_contain_text("处理中")
    expect(shopper.locator("#log")).to_contain_text("小芳")


def test_a_crash_of_the_server_loses_and_doubles_nothing(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    shopper = begun("断网之前")
    page = console()
    open_row(page, "断网之前")
    write(page, "收到")
    expect(page.locator("#outbox > *")).to_have_count(0)

    site.stop_server()
    expect(page.locator("#connection")).to_have_attribute("data-state", "offline")
    write(page, "离线时写下")
    expect(page.locator("#outbox .msg")).to_contain_text("待发送")
    expect(page.locator("#send [data-slot=word]")).to_have_text("联网后发送")
    site.do("say", inbox=inbox, count=3)
    site.start_server()

    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=20_000)
    expect(bubbles(page)).to_contain_text(["断网之前", "收到", "消息 1", "消息 2", "消息 3"])
    held = page.locator("#outbox .msg[data-status=held]")
    expect(held).to_contain_text("这条还没有发出")  # the visitor wrote meanwhile: the agent decides
    held.get_by_text("仍然发送").click()
    expect(bubbles(page)).to_have_text(
        ["断网之前", "收到", "消息 1", "消息 2", "消息 3", "离线时写下"]
    )
    expect(said_to_visitor(shopper)).to_have_text(["收到", "离线时写下"], timeout=20_000)


def test_a_picture_reaches_the_visitor(begun: Visit, console: Enter) -> None:
    shopper = begun("有实物图吗")
    page = console()
    open_row(page, "有实物图吗")
    picture = {"name": "实物.png", "mimeType": "image/png", "buffer": PIXEL}

    page.set_input_files("#picture-input", files=[picture])
    expect(page.locator("#composer-files .upload")).to_contain_text("实物.png")
    expect(page.locator("#composer-files progress")).to_have_count(0)
    write(page, "就是这款")

    expect(said_to_visitor(shopper).last).to_have_text("就是这款")
    expect(shopper.locator(".msg-staff img").last).to_have_js_property("naturalWidth", 1)
    expect(page.locator("#messages .picture img")).to_have_js_property("naturalWidth", 1)


def test_a_transfer_brings_the_note_and_the_conversation_to_the_colleague(
    begun: Visit, console: Enter
) -> None:
    begun("我要换货")
    colleague = console("/console/?bucket=mine", agent="lilei")
    page = console()
    open_row(page, "我要换货")

    page.keyboard.press("Alt+KeyT")
    page.locator("#transfer-list .pick", has_text="李雷").click()
    page.fill("#transfer-note", "已核对订单")
    page.click("#transfer-ok")

    expect(page.locator("[data-slot=owner-text]")).to_have_text("李雷 接待")
    row(colleague, "已核对订单").locator(".row").click()
    expect(colleague.locator("#messages .note")).to_contain_text("已核对订单")


def test_a_session_that_ends_while_typing_asks_to_log_in_and_keeps_the_draft(
    site: Site, begun: Visit, console: Enter
) -> None:
    begun("会话过期")
    page = console()
    open_row(page, "会话过期")
    page.locator("#composer-text").fill("写到一半")

    site.do("end_sessions", agent="xiaofang")
    site.stop_server()
    try:
        expect(page.locator("#connection")).to_have_attribute("data-state", "offline")
    finally:
        site.start_server()
    page.locator("#sign-in-link").click()
    log_in(page, "xiaofang")

    expect(page.locator("#composer-text")).to_have_value("写到一半")
