"""The demo in a real browser: Debian's chromium, driven by Playwright."""

import io
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from ...mini_rows import AUTOMIX, MIXUP, SAMIX, VANILLA, hits
from .conftest import LOST, Served

TABS = ("mix", "table", "zoo", "logs")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
SEQUENCES = int(os.environ.get("MIXZOO_SEQUENCES", "4"))  # of quick choices, 60 by hand
PATIENCE = 60_000  # milliseconds that a loaded machine may need for one answer


@pytest.fixture
def open_page(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Opens the demo as one more visitor, ready to be used.

    In the end no page may have written an error to its console or asked another host for anything.
    """
    complaints: list[str] = []
    contexts = []

    def note(url: str) -> None:
        if not url.startswith((served.url, "data:", "blob:")):
            complaints.append(f"a request to {url}")

    def open_(
        query: str = "", *, size: dict = DESKTOP, scheme: str = "light", motion: str = "reduce"
    ) -> Page:
        context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion=motion)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: note(request.url))
        page.on("websocket", lambda socket: note(socket.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(served.url + query)
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def choose_tab(page: Page, name: str) -> None:
    """Click a tab."""
    page.locator(f"#tab-{name}-button").click()


def mixed(page: Page) -> Locator:
    """The mixed picture."""
    return page.locator("#mix-mixed img").first


def set_slider(page: Page, value: float) -> None:
    """Type a number into the field of the lam slider."""
    field = page.locator("#mix-lam input[type=number]")
    field.fill(str(value))
    field.press("Enter")


def choose(page: Page, dropdown: str, option: str) -> None:
    """Choose an entry of a dropdown."""
    page.locator(f"{dropdown} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def width_of(page: Page) -> int:
    """How wide the page's widest content is, in pixels."""
    return page.evaluate(
        "Math.max(...[...document.querySelectorAll('main *')]"
        ".filter((e) => e.checkVisibility() && !e.closest('.scrolls, svg, thead, .options, .sr-only'))"
        ".map((e) => e.getBoundingClientRect().right), document.documentElement.scrollWidth)"
    )


def test_page_is_ready_with_a_mix(open_page: Callable[..., Page]) -> None:
    """Without a click the first visit shows a mixed picture, its weights and what is seen in it."""
    page = open_page()

    expect(mixed(page)).to_be_visible()
    expect(page.locator("#mix-weights")).to_contain_text("Label: A 0.")
    expect(page.locator("#mix-top-mixed")).to_contain_text("%")
    expect(page).to_have_title("mixzoo")


def test_full_screen_shows_the_whole_picture(open_page: Callable[..., Page]) -> None:
    """However wide the screen, no row of the mix is cut off."""
    page = open_page(size={"width": 1440, "height": 900})
    expect(mixed(page)).to_be_visible()

    page.locator("#mix-mixed").get_by_label("Fullscreen").click()

    expect(page.locator("#mix-mixed.fullscreen")).to_be_visible()
    box = mixed(page).bounding_box()
    assert box is not None
    assert box["height"] > 800
    assert box["y"] + box["height"] <= 900
    assert mixed(page).evaluate("(e) => getComputedStyle(e).objectFit") == "contain"


def test_lam_changes_the_picture(open_page: Callable[..., Page]) -> None:
    """Dragging lam gives another picture, and its label weight says so."""
    page = open_page("?method=mixup")
    expect(mixed(page)).to_be_visible()
    before = mixed(page).get_attribute("src") or ""

    slider = page.locator("#mix-lam input[type=range]")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()

    expect(mixed(page)).not_to_have_attribute("src", before)
    lam = float(slider.input_value())
    assert lam > 0.8
    expect(page.locator("#mix-weights")).to_contain_text(f"Label: A {lam:.2f}")


def test_every_choice_is_shown(open_page: Callable[..., Page]) -> None:
    """Another method, drawing or checkpoint is seen in the picture and the classes, and named by the command."""
    page = open_page("?method=mixup")
    page.locator("#mix-same button").first.click()
    expect(page.locator("#mix-cli")).to_contain_text("mixup")
    before = mixed(page).get_attribute("src") or ""

    page.locator("#mix-method").get_by_label("cutmix", exact=True).check()
    expect(mixed(page)).not_to_have_attribute("src", before)
    before = mixed(page).get_attribute("src") or ""
    page.locator("#mix-examples button:has(img)").nth(4).click()
    expect(mixed(page)).not_to_have_attribute("src", before)
    expect(page.locator("#mix-cli")).to_contain_text("frog butterfly")
    expect(page).to_have_url(re.compile("a=frog"))
    seen = page.locator("#mix-top-mixed").inner_text()
    page.locator("#mix-more-numbers button").first.click()
    choose(page, "#mix-ref", MIXUP)

    expect(page.locator("#mix-top-mixed")).not_to_have_text(seen, use_inner_text=True)
    expect(page).to_have_url(re.compile(f"ref={MIXUP}"))


def test_last_choice_wins(open_page: Callable[..., Page]) -> None:
    """However quickly controls are changed, what is shown is what they say in the end, without a toast.

    A slider moved 20 ms after another method was chosen waits for that method's checkpoint.
    """
    page = open_page(f"?method=mixup&ref={MIXUP}")
    page.locator("#mix-same button").first.click()
    page.locator("#mix-more-numbers button").first.click()
    command = page.locator("#mix-cli")
    expect(command).to_contain_text("mixup")
    slider, methods = page.locator("#mix-lam input[type=range]"), page.locator("#mix-method")
    move = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }"

    for turn, method in enumerate(("samix", "cutmix", "automix", "mixup")):
        methods.get_by_label(method, exact=True).check()
        for step in range(3):
            page.wait_for_timeout(20 * step)
            slider.evaluate(move, (lam := (turn + 3 * step + 1) / 20))
        page.locator("#mix-swap").click()

        expect(command).to_contain_text(f"--methods {method} --lams {lam:g} ")
        ref = page.locator("#mix-ref input").input_value()
        expect(command).to_contain_text(f"{ref} --images")
        images = "fox butterfly" if turn % 2 else "butterfly fox"
        expect(command).to_contain_text(images)
        expect(page.locator("#mix-weights")).to_contain_text("Label: A")
    assert page.locator(".toast-body").count() == 0


def command_of(page: Page) -> str:
    """The command that stands inside the mixed picture itself."""
    content = requests.get(mixed(page).get_attribute("src") or "", timeout=30).content
    return Image.open(io.BytesIO(content)).text["Command"]


def wanted_by(page: Page) -> str:
    """The command for what the page's controls say."""
    name = "(e) => e.src.split('/').pop().replace('.png', '')"
    a, b = (page.locator(f"#mix-{side} img").first.evaluate(name) for side in "ab")
    method = page.locator("#mix-method input:checked").input_value()
    lam = float(page.locator("#mix-lam input[type=number]").input_value())
    ref = page.locator("#mix-ref input").input_value()
    how = f"--methods {method} --lams {lam:g} --seed 0 --layout mix --out mix.png"
    return f"mixzoo viz mix {ref} --images {a} {b} {how}"


def test_no_sequence_of_choices_leaves_an_older_picture(open_page: Callable[..., Page]) -> None:
    """Whatever is changed however quickly: in the end picture, command and controls are of one mind.

    MIXZOO_SEQUENCES=60 tries more of them.
    """
    page, rng = open_page(), random.Random(0)
    for part in ("#mix-same", "#mix-more-numbers"):
        page.locator(f"{part} button").first.click()
    expect(page.locator("#mix-cli")).to_contain_text("samix")
    slider = page.locator("#mix-lam input[type=range]")
    move = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    click = "(e) => e.click()"
    methods, cells = page.locator("#mix-method input"), page.locator("#mix-strips input")
    drawn = page.locator("#mix-examples button:has(img)")
    choices = (
        lambda: slider.evaluate(move, rng.randint(0, 20) / 20),
        lambda: methods.nth(rng.randrange(8)).evaluate(click),
        lambda: cells.nth(rng.randrange(20)).evaluate(click),
        lambda: drawn.nth(rng.randrange(12)).evaluate(click),
        lambda: page.locator("#mix-swap").evaluate(click),
    )
    stale = []
    for number in range(SEQUENCES):
        for _ in range(rng.randint(2, 6)):
            rng.choice(choices)()
            page.wait_for_timeout(rng.choice((0, 10, 40, 160)))
        until = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < until:
            page.wait_for_timeout(300)
            said = page.locator("#mix-cli .cm-content").inner_text().strip()
            if {said, command_of(page)} == {wanted_by(page)}:
                break
        else:
            stale.append((number, said, command_of(page), wanted_by(page)))
    assert stale == []


@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_story_is_told_at_first_sight(open_page: Callable[..., Page], size: dict) -> None:
    """Without scrolling: two pictures, what SAMix and AutoMix make of them beside CutMix and MixUp
    over lam, and what that is. SAMix comes before AutoMix's blocks."""
    page = open_page(size=size)
    expect(page.locator("#mix-strips input")).to_have_count(20)

    for part in ("#mix-a img", "#mix-b img", ".mix-strips", "#mix-lead p"):
        box = page.locator(part).first.bounding_box()
        assert box is not None, part
        assert box["y"] + box["height"] <= size["height"], part
    names = page.locator(".mix-name").all_inner_texts()
    assert names == ["SAMix", "AutoMix", "CutMix", "MixUp"]
    said = page.locator("#mix-words").inner_text()
    for words in ("A mask", "0.70 of the pixels", "Published", "recomputed", "trained on drawings"):
        assert words in said
    hosts = {one.get_attribute("href") for one in page.locator("#mix-lead a").all()}
    assert "https://arxiv.org/abs/2103.13027" in hosts
    expect(page.locator("#mix-top-a")).to_contain_text("truly Vulpifabula simplex")


def test_three_clicks_make_a_picture_to_show(open_page: Callable[..., Page]) -> None:
    """A drawing, AutoMix's mix, and save: a large picture that says what it is."""
    page = open_page(size=PHONE)
    expect(mixed(page)).to_be_visible()

    page.locator("#mix-examples button:has(img)").nth(6).click()
    page.wait_for_url("**/?*a=owl*")
    page.locator("#mix-strips label:has([value='automix 0.5'])").click()
    page.wait_for_url("**/?*method=automix*")
    with page.expect_download() as saved:
        page.locator("#mix-save").click()

    assert saved.value.suggested_filename == "owl-butterfly-automix-lam0.5-seed0.png"
    with Image.open(saved.value.path()) as image:
        assert image.width > 1500
        assert "--images owl butterfly --methods automix --lams 0.5" in image.text["Command"]
    expect(page.locator("#mix-why, .mix-why")).to_contain_text("automix has learnt")


def test_film_plays_and_halts_at_a_lam(open_page: Callable[..., Page]) -> None:
    """Play runs through lam; pause leaves the page at the lam that is shown. Mask has an opacity."""
    page = open_page("?method=mixup", motion="no-preference")
    expect(mixed(page)).to_be_visible()
    play, words = page.locator(".mix-play"), page.locator("#mix-film span")

    play.click()
    expect(words).to_contain_text("lam 0.3")
    play.click()
    lam = words.inner_text().removeprefix("lam ")

    expect(page.locator("#mix-weights")).to_contain_text(f"Label: A {lam}")
    expect(page.locator("#mix-film")).to_have_count(0)
    expect(play).to_contain_text("Play")
    page.locator("#mix-look input").fill("0.6")
    assert page.locator("#mix-mask").evaluate("(e) => getComputedStyle(e).opacity") == "0.6"


def test_film_takes_few_steps_where_motion_is_unwanted(open_page: Callable[..., Page]) -> None:
    """It goes on a step every second and a half, in quarters of lam."""
    page = open_page("?method=cutmix")
    expect(mixed(page)).to_be_visible()

    page.locator(".mix-play").click()

    for lam in ("0.00", "0.25"):
        expect(page.locator("#mix-film span")).to_have_text(f"lam {lam}")


def test_two_methods_beside_each_other(open_page: Callable[..., Page]) -> None:
    """Any other method and checkpoint with a slider between them; a new lam is both pictures'."""
    page = open_page()
    expect(mixed(page)).to_be_visible()

    page.locator("#mix-compare button").first.click()
    told = page.locator("#mix-both-told")
    expect(told).to_contain_text(f"Left: SAMix ({SAMIX}). Right: CutMix")
    choose(page, "#mix-other-method", "automix")
    expect(told).to_contain_text(f"Right: AutoMix ({AUTOMIX})")
    choose(page, "#mix-other-ref", MIXUP)
    expect(told).to_contain_text(f"({MIXUP})")
    set_slider(page, 0.2)

    expect(told).to_contain_text("Both at lam 0.20")
    pictures = page.locator("#mix-both img")
    expect(pictures).to_have_count(2)
    assert all("lam0.2" in (one.get_attribute("src") or "") for one in pictures.all())


def test_broken_picture_is_a_toast(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """A line in words, no trace, and no mix of what isn't there; the page lives on."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing of the kind")
    page = open_page()
    expect(mixed(page)).to_be_visible()

    page.locator("#mix-a input[type=file]").first.set_input_files(broken)

    toast = page.locator(".toast-body").first
    expect(toast).to_contain_text("broken.png: expected a picture")
    assert "Traceback" not in toast.inner_text()
    expect(mixed(page)).to_have_count(0)
    page.locator("#mix-examples button:has(img)").nth(4).click()
    expect(mixed(page)).to_be_visible()


def test_table_tab(open_page: Callable[..., Page]) -> None:
    """The report's numbers with their verdicts and rules; another benchmark is another table."""
    page = open_page("?tab=table")
    shown = page.locator("#table-page")

    row = shown.locator("tr:not(.behind)", has_text=MIXUP)
    expect(row).to_contain_text(f"{(hits(MIXUP) - LOST) / 10:.2f}")
    expect(row).to_contain_text("not reproduced")
    expect(shown).to_contain_text("explain")
    choose(page, "#table-benchmark", "inat2018")
    row = shown.locator("tr:not(.behind)", has_text="resnet50.automix_inat2018")
    expect(row).to_contain_text("64.73")


def test_zoo_tab(open_page: Callable[..., Page]) -> None:
    """What isn't locked is told with what to do by hand; what is can be verified."""
    page = open_page("?tab=zoo&zoo=inat2018")
    shown = page.locator("#zoo-page")

    expect(shown).to_contain_text("extraction code wy2v")
    choose(page, "#zoo-benchmark", "mini")
    expect(shown).not_to_contain_text("extraction code")
    page.locator("#zoo-verify").click()
    expect(shown.locator("tr", has_text=VANILLA)).to_contain_text("verified")


def test_download(open_page: Callable[..., Page]) -> None:
    """A listed row is fetched at a click; then it is here, and can't be chosen again."""
    page = open_page("?tab=zoo&zoo=own")
    shown = page.locator("#zoo-page")
    expect(shown).to_contain_text("not downloaded")

    choose(page, "#zoo-row", "resnet18_w4.vanilla_own")
    page.locator("#zoo-download").click()

    expect(page.locator(".toast-body").first).to_contain_text("resnet18_w4.vanilla_own is here")
    expect(shown.locator("tr", has_text="vanilla_own")).to_contain_text("here")
    for name in ("row", "download", "stop"):  # there is nothing left to fetch
        expect(page.locator(f"#zoo-{name}")).to_be_hidden()


def test_logs_tab(open_page: Callable[..., Page], golden: Path, tmp_path: Path) -> None:
    """A row's audit; a visitor's own log with its heads; a broken one is a toast and no more."""
    page = open_page(f"?tab=logs&log={MIXUP}")
    shown = page.locator("#logs-page")
    expect(shown).to_contain_text("whole numbers of 1,000 images")
    expect(shown.locator("svg").first).to_be_visible()
    broken = tmp_path / "broken.log.json"
    broken.write_text("<html>")

    page.locator("#logs-own button").first.click()
    file = page.locator("#logs-file input[type=file]")
    file.set_input_files(broken)
    expect(page.locator(".toast-body").first).to_contain_text("expected a training log")
    page.locator("#logs-file").get_by_label("Clear").first.click()
    file.set_input_files(next((golden / "runs/tiny_automix_ep8").glob("*.log.json")))

    expect(shown.locator("td", has_text="mix_q").first).to_be_visible()
    expect(shown).to_contain_text("whole numbers of 300 images")


def test_url_holds_the_state(open_page: Callable[..., Page]) -> None:
    """What was chosen stands in the URL, and is there again after a reload."""
    page = open_page()
    expect(mixed(page)).to_be_visible()

    set_slider(page, 0.2)
    page.locator("#mix-method").get_by_label("mixup", exact=True).check()
    choose_tab(page, "table")
    choose(page, "#table-benchmark", "places205")
    expect(page).to_have_url(re.compile("benchmark=places205"))
    expect(page).to_have_url(re.compile("tab=table"))
    page.reload()

    expect(page.locator("#table-page")).to_contain_text("resnet18.samix_places205")
    choose_tab(page, "mix")
    expect(page.locator("#mix-lam input[type=number]")).to_have_value("0.2")
    expect(page.locator("#mix-method").get_by_label("mixup", exact=True)).to_be_checked()


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")]
)
def test_every_tab_fits(
    open_page: Callable[..., Page], tmp_path: Path, size: dict, scheme: str
) -> None:
    """No tab scrolls sideways, and all follow the visitor's system, figures too.

    A screenshot of each is left for people to look at.
    """
    page = open_page(size=size, scheme=scheme)
    expect(mixed(page)).to_be_visible()

    for tab in TABS:
        choose_tab(page, tab)
        expect(mixed(page) if tab == "mix" else page.locator(f"#{tab}-page .facts")).to_be_visible()
        page.screenshot(path=tmp_path / f"{tab}-{scheme}-{size['width']}.png", full_page=True)
        assert width_of(page) <= size["width"], tab

    ground, ink = (
        sum(map(int, re.findall(r"\d+", page.locator(place).first.evaluate(script))[:3]))
        for place, script in (
            ("body", "(e) => getComputedStyle(e).backgroundColor"),
            ("#logs-page svg text", "(e) => getComputedStyle(e).fill"),
        )
    )
    assert (ground < 200 < 400 < ink) if scheme == "dark" else (ink < 400 < ground)
