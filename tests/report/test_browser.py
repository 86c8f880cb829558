"""The page in a real browser, opened from disk with the network off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, Browser

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="install the Debian packages chromium and chromium-driver",
)


@pytest.fixture(scope="module")
def browser(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    window = Browser(tmp_path_factory.mktemp("home"))
    window.open(page.as_uri())
    yield window
    window.close()


def test_every_plot_is_drawn_and_the_console_is_clean(browser: Browser) -> None:
    drawn = "return document.querySelectorAll('.plot > .plot-container').length"
    assert browser.run(drawn) == 1  # the others are folded
    plots = browser.run("return document.querySelectorAll('.plot').length")
    assert plots > 12
    browser.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    wait_for(browser, drawn, plots)
    assert browser.console() == []


def wait_for(browser: Browser, script: str, value: object) -> None:
    """Folds tell that they were opened a moment later."""
    ends = time.monotonic() + 20
    while browser.run(script) != value and time.monotonic() < ends:
        time.sleep(0.05)
    assert browser.run(script) == value


def test_a_link_to_a_figure_opens_its_fold(browser: Browser) -> None:
    browser.run("document.querySelectorAll('details').forEach(fold => fold.open = false)")
    browser.run("location.hash = 'membership'")
    wait_for(browser, "return document.getElementById('safety').open", True)
    assert browser.run("return document.getElementById('basins').open") is False
    assert browser.console() == []


def test_pointing_at_a_token_shows_its_entropy(browser: Browser) -> None:
    assert browser.run("return document.getElementById('tip').hidden")
    browser.point_at(".tokens.recovered .tok.recovered")
    shown = browser.run(
        "const t = document.getElementById('tip'); return [t.hidden, t.textContent]"
    )
    assert shown[0] is False
    assert "recovered" in shown[1]
    assert "nats" in shown[1]


def test_a_legend_entry_hides_its_curve_and_brings_it_back(browser: Browser) -> None:
    shown = "return document.getElementById('recovery-plot').data.filter(t => t.visible).length"
    everything = browser.run(shown)
    browser.point_at("#recovery .keys button", click=True)
    assert browser.run(shown) < everything
    assert (
        browser.run(
            "return document.querySelector('#recovery .keys button').getAttribute('aria-pressed')"
        )
        == "false"
    )
    browser.point_at("#recovery .keys button", click=True)
    assert browser.run(shown) == everything


def test_the_keyboard_reaches_tokens(browser: Browser) -> None:
    moved = """
    const first = document.querySelector('.tokens.recovered .tok'); first.focus();
    first.dispatchEvent(
        new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true}));
    return document.activeElement.dataset.i"""
    assert browser.run(moved) == "1"


CUT_OFF = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('.plot text, h1, h2, p, summary')].filter(node => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && (box.left < -1 || box.right > width + 1);
}).map(node => node.textContent)"""


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(page: Path, tmp_path: Path) -> None:
    window = Browser(tmp_path)
    try:
        window.as_phone(390)
        window.open(page.as_uri())
        window.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        plots = window.run("return document.querySelectorAll('.plot').length")
        wait_for(
            window, "return document.querySelectorAll('.plot > .plot-container').length", plots
        )
        assert window.run(CUT_OFF) == []
        wide = window.run(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0
        assert window.screenshot(tmp_path / "phone.png").stat().st_size > 10_000
        assert window.console() == []
    finally:
        window.close()
