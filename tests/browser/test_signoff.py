"""signoff.html in a real browser: what is on its first screen, how it looks, and who can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Opened
from tests.browser.pages import HOSTILE, KNOWN, PAGES
from tests.chromium import axe


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = Opened(browser)
    yield opened.page
    opened.page.close()


@pytest.fixture(params=PAGES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Some of what is folded, of each kind.
OPEN = """[".part", ".stop", ".requirements details", ".document", ".places", ".differs",
   ".violation", ".follows", ".wide details"].forEach((kind) =>
  [...document.querySelectorAll(kind)].slice(0, kind === ".document" ? 1 : 12)
    .forEach((one) => { one.open = true; }))"""
SEEN = """(selector) => [...document.querySelectorAll(selector)].every(
  (one) => one.checkVisibility() && one.getBoundingClientRect().height > 0)"""
FIRST = {
    "green": ["Ship", "that this cluster can show hold", "Nothing that was looked at.",
              "there is no GPU"],
    "red": ["Do not ship", "of 258 are violated", "since 2026-03-03", "new",
            "backend: expected path /v1/chat/completions, observed path /openai/"],
    "lost": ["No verdict", "The cluster was lost at 05:07:00", "Not run: 44 of external_models"],
    "one defect": ["Do not ship", "10 requirements are red, in 1 way", "and 9 because of it"],
    "undecided": ["No verdict", "3 requirements of 258 could not be decided", "leader changed",
                  "worker 'gw1' crashed"],
    "unready": ["No verdict", "Not everything that was deployed became ready.",
                "Deployment llm/model: 0 of 1 available", "Pod llm/model-1, main: CrashLoop"],
}  # fmt: skip


def test_first_screen_answers(files: dict[str, Path], page: Page, kind: str) -> None:
    """May we ship, what is broken, where, is it new, what was not looked at: without scrolling."""
    page.goto(f"file://{files[kind]}")
    seen = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter(
             (one) => one.children.length === 0 || one.matches("p, li, span"))
           .filter((one) => { const box = one.getBoundingClientRect();
                              return box.height && box.bottom <= innerHeight; })
           .map((one) => one.textContent.replace(/\\s+/g, " ")).join("\\n")"""
    )
    for text in FIRST[kind]:
        assert text.replace("of 258", f"of {len(KNOWN)}") in seen
    assert "What is broken, and is it new?" in seen
    assert "What was not looked at?" in seen


@pytest.mark.parametrize(
    ("kind", "width", "scheme"),
    [
        ("red", 1280, "light"),
        ("red", 400, "dark"),
        ("green", 400, "light"),
        ("lost", 1280, "dark"),
        ("unready", 400, "light"),
        ("one defect", 1280, "dark"),
        ("one defect", 400, "light"),
        ("undecided", 400, "dark"),
    ],
)
def test_everybody_can_use_it(
    browser: Browser, files: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    """Contrast, roles, names, order: axe-core finds nothing. Nothing sticks out, nothing is asked
    of a network, and the console is silent."""
    opened = Opened(browser, width, scheme)
    page = opened.open(files[kind])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate(OPEN)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.asked == [files[kind].as_uri()]
    assert opened.said == []
    # Its script is no part of the page, whose policy lets no other in.
    found = page.evaluate(f"async () => {{ {axe().read_text()}; return await axe.run(); }}")
    broken = [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found["violations"]]
    page.close()
    assert broken == []


def test_filter(files: dict[str, Path], page: Page) -> None:
    """By text and by verdict, without reloading; who does not see it hears how many are left."""
    page.goto(f"file://{files['red']}")
    rows = page.locator(".requirements > li:visible")
    expect(rows).to_have_count(0)
    page.locator("#requirements").click()
    few = len([one for one in KNOWN.values() if one.kind == "gap" or one.capability]) + 3
    expect(rows).to_have_count(few)
    page.get_by_text("conformant", exact=False).and_(page.locator(".holding > summary")).click()
    expect(rows).to_have_count(len(KNOWN))
    page.locator(".holding > summary").click()
    page.get_by_label("Text").fill("mp-29 injects")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text(f"1 of {len(KNOWN)} requirements")
    page.get_by_label("Text").fill("")
    for box in page.locator("input[name=verdict]:not([value=nonconformant])").all():
        box.uncheck()
    expect(rows).to_have_count(3)


@pytest.mark.parametrize("key", ["click", "Enter"])
@pytest.mark.parametrize("width", [1280, 400])
def test_hop_opens_its_requirements(
    browser: Browser, files: dict[str, Path], key: str, width: int
) -> None:
    """With the mouse, and with the keyboard alone."""
    page = Opened(browser, width).open(files["red"])
    page.locator("#flows").click()
    hop = page.locator("svg:visible a[aria-label*='provider or local model']")
    panel = page.locator("details.stop", has_text="provider or local model").first
    assert "nonconformant" in str(hop.get_attribute("aria-label"))
    if key == "click":
        hop.click()
    else:
        hop.focus()
        page.keyboard.press("Enter")
    expect(panel).to_have_attribute("open", "")
    expect(panel.locator(".chip", has_text="MP-28")).to_be_visible()
    page.close()


def test_chip_opens_its_requirement(files: dict[str, Path], page: Page) -> None:
    """Folded and filtered away as it may be."""
    page.goto(f"file://{files['red']}")
    page.locator("#requirements").click()
    page.get_by_label("Text").fill("nothing has this")
    page.locator("#requirements").click()
    page.locator(".broken .chip", has_text="MP-28").click()
    row = page.locator("#MP-28")
    expect(row).to_be_visible()
    expect(row.locator("details")).to_have_attribute("open", "")
    row.get_by_role("link", name="mixed-providers-demo.md").click()
    expect(page.locator("details.document[open] .said:visible").first).to_be_visible()


def test_what_a_provider_says_is_text(files: dict[str, Path], page: Page) -> None:
    page.goto(f"file://{files['red']}#DG-26")
    expect(page.locator("#DG-26 .failure pre")).to_have_text(HOSTILE)
    assert page.title().startswith("Do not ship")
    assert page.locator("script").count() == 1


def test_one_defect_takes_two_screens(files: dict[str, Path], page: Page) -> None:
    """Before the documents; three paths of 8 KiB take no more, nor what is red because of it."""
    page.goto(f"file://{files['one defect']}")
    top = "document.querySelector('#documents').getBoundingClientRect().top"
    assert page.evaluate(top) <= 2 * 900
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    tallest = "Math.max(...[...document.querySelectorAll('.flow svg')].map((x) => x.clientHeight))"
    assert page.evaluate(tallest) < 900 / 2


def test_causes_lead_and_what_follows_stands_under_them(files: dict[str, Path], page: Page) -> None:
    page.goto(f"file://{files['one defect']}")
    (only,) = page.locator(".violation").all()
    expect(only).to_have_attribute("open", "")
    under = only.locator("details.follows")
    expect(under.locator("summary")).to_contain_text("9 red because of it")
    under.locator("summary").click()
    expect(under.locator(".chip:visible")).to_have_count(9)
    page.goto(f"file://{files['red']}")
    expect(page.locator(".violation")).to_have_count(3)
    expect(page.locator(".violation[open]")).to_have_count(1)


def test_what_was_judged(files: dict[str, Path], page: Page) -> None:
    """Suite, manifests, cluster, what ran in each place, and routes that no document knows."""
    page.goto(f"file://{files['one defect']}")
    judged = page.locator("section", has=page.locator("#judged"))
    for text in ("1.2.3, commit 0123456789ab, with changes that are not committed", "of-our-team",
                 "sha256:0", "1 line differs from the default", "kubernetes v1.34.4",
                 "API server https://127.0.0.1:6443", "in 3 places",
                 "your build in 1"):  # fmt: skip
        expect(judged).to_contain_text(text)
    judged.locator(".places > summary").click()
    expect(judged.get_by_text("embedded.images.kuadrant.limitador")).to_be_visible()
    expect(page.locator("#unseen ~ p", has_text="team/forgotten")).to_be_visible()
    page.get_by_role("link", name="No document knows").click()
    expect(page.locator("tr.unknown", has_text="team/forgotten")).to_be_visible()


def test_paper(files: dict[str, Path], page: Page) -> None:
    """Without what only a screen is good for, and whole: what was folded too, without a script."""
    page.goto(f"file://{files['one defect']}")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".filter")).to_be_hidden()
    expect(page.get_by_role("heading", name="Do not ship")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for folded in (".document .said pre", ".holding blockquote", ".flow svg.across text.name",
                   ".places td", ".follows .chip"):  # fmt: skip
        assert page.evaluate(SEEN, folded), folded
    assert page.pdf().startswith(b"%PDF")
