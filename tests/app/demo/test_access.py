"""The page for keyboards, screen readers and weak eyes, and its tables, in one visit of a real browser."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ...mini_rows import CUTMIX, MIXUP, PROTOCOL, hits
from .conftest import LOST, Served

axe = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
AXE = Path(axe.__file__).with_name("axe.min.js")
TABS = ("mix", "table", "zoo", "logs")
PATIENCE = 60_000  # milliseconds that a loaded machine may need for one answer
# where the keyboard is, and whether it looks otherwise than without
STOP = """() => {
  const one = document.activeElement;
  const frame = one.closest(".wrap:has(> .wrap-inner)") ?? one;
  const look = () => ["outlineStyle", "boxShadow"].map((name) => getComputedStyle(frame)[name]).join();
  const focused = look();
  one.blur();
  const plain = look();
  one.focus({ focusVisible: true });
  return [one.outerHTML.slice(0, 150), focused !== plain];
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The demo as one visitor sees it all along; its figures and tables are there."""
    expect.set_options(timeout=PATIENCE)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(served.url)
    expect(page.locator("#mix-mixed img").first).to_be_visible()
    yield page
    context.close()


def show(page: Page, tab: str) -> Locator:
    """Choose a tab; what it shows."""
    page.locator(f"#tab-{tab}-button").click()
    shown = page.locator("#mix-mixed img" if tab == "mix" else f"#{tab}-page .facts").first
    expect(shown).to_be_visible()
    return shown


def faults(page: Page) -> list[str]:
    """What axe-core finds that keeps people out, a line each."""
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_no_serious_fault(page: Page, tab: str, scheme: str) -> None:
    """axe-core finds no serious and no critical fault: contrast, names, roles, structure."""
    page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", scheme == "dark")
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    show(page, tab)
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")

    found = faults(page)

    page.evaluate("document.body.classList.remove('dark')")
    assert found == []


@pytest.mark.parametrize("tab", TABS)
def test_every_stop_of_the_keyboard_is_seen(page: Page, tab: str) -> None:
    """Where the keyboard is, something is drawn; what does nothing is no stop."""
    show(page, tab)
    page.locator(f"#tab-{tab}-button").focus()
    unseen: list[str] = []
    dead: list[str] = []
    stops = 0

    for _ in range(120):
        page.keyboard.press("Tab")
        html, seen = page.evaluate(STOP)
        if html.startswith("<body"):
            break
        stops += 1
        unseen += [] if seen else [html]
        dead += [html] if "confidence-set" in html or "image-frame" in html else []

    assert stops > 3
    assert unseen == []
    assert dead == []


def test_arrows_choose_the_method(page: Page) -> None:
    """A group of radio buttons is one stop of the keyboard, in which the arrows move."""
    show(page, "mix")
    chosen = page.locator("#mix-method input:checked")
    before = chosen.input_value()

    chosen.focus()
    page.keyboard.press("ArrowLeft")

    expect(chosen).not_to_have_value(before)
    expect(page.locator("#mix-method input:focus")).to_have_value(chosen.input_value())


def test_pictures_have_names(page: Page) -> None:
    """Every picture says what it is of, and every drawing to choose its own name."""
    show(page, "mix")

    names = page.locator("#mix-examples button:has(img)").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    nameless = page.locator("main img:visible").evaluate_all(
        "(all) => all.filter((one) => !one.alt && !one.closest('[aria-label]')).map((one) => one.outerHTML)"
    )

    assert "fox" in names
    assert nameless == []


def test_table_is_sorted_filtered_and_opened(page: Page) -> None:
    """A heading sorts by numbers and back, words filter, a row's name opens what stands behind it."""
    shown = show(page, "table")
    names = shown.locator("tbody tr:not(.behind):not(.filtered) td:first-child")
    first = names.first.inner_text()

    shown.get_by_role("button", name="Published").click()
    expect(shown.locator("th[aria-sort=descending]")).to_have_text("Published")
    values = shown.locator("td[data-label=Published]").all_inner_texts()
    assert values == sorted(values, key=float, reverse=True)
    shown.get_by_role("button", name="Published").click()
    expect(shown.locator("th[aria-sort=ascending]")).to_have_text("Published")
    assert names.first.inner_text() != first
    shown.get_by_role("searchbox").fill("not reproduced")
    expect(shown.get_by_role("status")).to_have_text("1 of 10 rows")
    expect(names).to_have_text([MIXUP])
    names.first.get_by_role("button").press("Enter")

    opened = shown.locator("tr.behind:visible")
    expect(opened).to_contain_text(f"{hits(MIXUP) - LOST} of 1,000 images")
    expect(opened).to_contain_text("mini.json")


def test_evidence_is_saved(page: Page) -> None:
    """What stands behind a kept evaluation is a zip to save, named by its row."""
    show(page, "table")

    with page.expect_download() as saving:
        page.locator("#table-save").click()

    assert saving.value.suggested_filename == f"{CUTMIX}.zip"
    with zipfile.ZipFile(saving.value.path()) as saved:
        assert f"{CUTMIX}/evidence.json" in saved.namelist()


def test_slots_show_what_is_mixed(page: Page) -> None:
    """A and B are shown as they are cut for the network: their centre."""
    show(page, "mix")

    for name in ("a", "b"):
        scale = page.locator(f"#mix-{name} img").evaluate("(e) => getComputedStyle(e).scale")
        assert float(scale) == pytest.approx(PROTOCOL.resize / PROTOCOL.crop, rel=0.01)


def test_link_is_copied(page: Page) -> None:
    """One click copies the address, which holds what was chosen just now; a visitor is told so."""
    show(page, "mix")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.locator("#mix-link").evaluate("(one) => { mixzooKeep('seed', 7, '0'); one.click(); }")

    expect(page.locator(".toast-body").last).to_contain_text("The link to this mix was copied")
    assert "seed=7" in page.evaluate("navigator.clipboard.readText()")


def test_report_is_checked_here(page: Page, served: Served, tmp_path: Path) -> None:
    """A visitor's report is judged by the tables here; what isn't one is told in a toast."""
    show(page, "table")
    page.locator("#table-own button").first.click()
    field = page.locator("#table-file input[type=file]")

    field.set_input_files(served.folder / "reports" / "mini.json")
    expect(page.locator("#table-check")).to_contain_text(f"{hits(MIXUP) - LOST} / 1000")
    page.locator("#table-file").get_by_label("Clear").first.click()
    other = tmp_path / "other.json"
    other.write_text("{}")
    field.set_input_files(other)

    expect(page.locator(".toast-body").first).to_contain_text("other.json: ")
