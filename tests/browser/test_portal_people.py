"""The people of the pilots at the portal, in a real browser, from sign-in to print; and every page under axe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import portal_town
from tests.browser.pages import CHROMIUM, FLAGS, _free_port, _wait
from tests.portal_town import CHILDREN, THEME, password_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium of the system's packages")]
CHILD = CHILDREN[2]


@contextmanager
def portal(home: Path) -> Iterator[str]:
    """`kodomo portal serve` over ``home``; ended when the block ends."""
    port = _free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "from kodomo_platform.cli import main; main()",
            "portal",
            "serve",
            "--port",
            str(port),
        ],
        env=os.environ | {"KODOMO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/alive/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("portal") / "home"
    portal_town.copy_to(home)
    with portal(home) as found:
        yield found


@pytest.fixture
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def at_the_desk(chromium: Any, address: str, login: str, **more: Any) -> Iterator[Any]:
    """A page signed in with both factors, by keyboard. What the browser complains of fails the test."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

    from kodomo_platform.portal.digits import digits_now

    context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}, "locale": "ja-JP"} | more))
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    password, secret = password_of(login)
    page.goto(f"{address}/sign-in/")
    page.focus("input[name=login]")
    page.keyboard.type(login)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    for _ in range(3):
        page.wait_for_selector("input[name=code]")
        page.fill("input[name=code]", "")
        page.focus("input[name=code]")
        page.keyboard.type(digits_now(secret))
        page.keyboard.press("Enter")
        try:
            page.wait_for_url("**/today/", timeout=8000)
        except PlaywrightTimeoutError:
            # the digits of a half minute serve once: another test has just used them
            page.wait_for_timeout((30 - time.time() % 30) * 1000 + 500)
        else:
            break
    page.wait_for_url("**/today/")
    try:
        yield page
        assert [text for text in complaints if "status of 40" not in text] == []
    finally:
        context.close()


def test_a_head_of_a_school_from_sign_in_to_print(address: str, chromium: Any, tmp_path: Path) -> None:
    with at_the_desk(chromium, address, "head", accept_downloads=True) as page:
        page.click("nav >> text=台帳")
        page.click(f"a[href='/children/{CHILD.child_id}/']")
        body = page.inner_text("main")
        assert "今年度の欠席は2日" in body
        assert "気分が低い" in body
        assert "福祉の記録" not in body
        assert "あなたの役割では表示されない情報が1件" in body
        page.check("input[name=answer][value=agree]")
        page.fill("textarea[name=reason]", "担任から聞いた様子と合う")
        page.click("text=判断を記録する")
        assert "判断を記録しました" in page.inner_text("main")
        page.click("text=支援計画を書く")
        page.fill("textarea[name=goals]", "週に一度、保健室で話す")
        page.fill("textarea[name=measures]", "養護教諭が月曜に声をかける")
        page.fill("input[name=review_on]", page.get_attribute("input[name=review_on]", "min"))
        page.click("text=保存して承認を待つ")
        assert "計画あり" in page.inner_text("main")
        page.click("text=個票を出力")
        page.fill("input[name=purpose]", "ケース会議")
        with page.expect_download() as download:
            page.click("text=PDFを作る")
        file = tmp_path / "child.pdf"
        download.value.save_as(file)
        assert file.read_bytes().startswith(b"%PDF-1.7")


def test_a_nurse_tells_and_the_desk_knows(address: str, chromium: Any) -> None:
    with at_the_desk(chromium, address, "nurse", viewport={"width": 820, "height": 1180}, has_touch=True) as page:
        page.click("main >> text=登録する")
        page.check("input[name=kind][value=injury]")
        page.check("input[name=severity][value='3']")
        page.fill("input[name=name]", CHILD.name)
        page.fill("input[name=birth_date]", "H27.4.4")
        page.click("text=自治体に知らせる")
        assert "自治体に届きました" in page.inner_text("main")
    with at_the_desk(chromium, address, "desk") as page:
        page.click("nav >> text=医療の気づき")
        assert CHILD.name in page.inner_text("main")
        page.click("table a >> nth=0")
        assert "医療機関の記載" in page.inner_text("main")


def test_the_overseer_sees_who_looked_and_no_child(address: str, chromium: Any) -> None:
    with at_the_desk(chromium, address, "head") as page:
        page.goto(f"{address}/children/{CHILD.child_id}/")
    with at_the_desk(chromium, address, "overseer") as page:
        page.click("nav >> text=閲覧記録")
        body = page.inner_text("main")
        assert "head" in body
        assert CHILD.name not in body
        page.click("nav >> text=権限表")
        assert "学校" in page.inner_text("main")


def test_the_pages_are_read_without_script_in_english_and_on_a_phone(address: str, chromium: Any) -> None:
    with at_the_desk(
        chromium, address, "desk2", java_script_enabled=False, viewport={"width": 390, "height": 844}
    ) as page:
        page.click("text=English")
        page.goto(f"{address}/children/?theme={THEME}")
        assert "Register" in page.inner_text("h1")
        page.click(f"a[href='/children/{CHILD.child_id}/']")
        assert "Reasons" in page.inner_text("main")


#: whom to ask, and which pages
_PAGES = {
    "lead": ["/today/", f"/children/?theme={THEME}", "/children/?theme=", f"/children/{CHILD.child_id}/", f"/children/{CHILDREN[4].child_id}/", "/search/",
             "/entries/", "/flags/", "/links/", "/dashboard/", f"/algorithm/{THEME}/", "/exports/", f"/children/{CHILD.child_id}/form/",
             "/second-factor/", "/nowhere/"],
    "nurse": ["/today/", "/flags/new/"],
    "overseer": ["/today/", "/oversight/", "/rights/", "/children/"],
    "analyst": ["/today/", "/analysis/", "/quality/"],
    "holder": ["/today/", "/quality/"],
    "counter": ["/today/", "/requests/"],
    "admin": ["/today/", "/people/"],
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_to_say(address: str, chromium: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    # the text of the script is injected by the debugger, which the pages' policy does not concern
    for login, pages in _PAGES.items():
        with at_the_desk(chromium, address, login, color_scheme=scheme, bypass_csp=True) as page:
            for path in pages:
                page.goto(address + path)
                for violation in Axe().run(page).response["violations"]:
                    targets = [node["target"] for node in violation["nodes"]][:3]
                    found.append(f"{scheme} {path} {violation['id']}: {violation['help']} {targets}")
    assert found == []


def test_nothing_runs_off_a_phone_or_a_page_at_double_size(address: str, chromium: Any) -> None:
    for width in (390, 640):
        with at_the_desk(chromium, address, "lead", viewport={"width": width, "height": 844}) as page:
            for path in (
                "/today/",
                f"/children/?theme={THEME}",
                f"/children/{CHILD.child_id}/",
                "/dashboard/",
                "/search/",
            ):
                page.goto(address + path)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} is {wide} wide at {width}"
