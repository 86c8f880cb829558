"""The explorer in a real browser, opened from disk with the network off."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import CHROMIUM, DRIVER, Browser
from PIL import Image

from attractor import probes
from attractor.explore import content as contents
from attractor.explore.collect import Collection
from attractor.explore.content import Content, content
from attractor.explore.write import render
from attractor.model.network import NetworkDenoiser

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="install the Debian packages chromium and chromium-driver",
)
ENDED = """const columns = [...document.querySelectorAll('.column')];
return columns.every((column) => column.querySelector('.row.end'))"""
KEEPING = """window.kept = {};
URL.createObjectURL = (blob) => {
  const reader = new FileReader();
  reader.onload = () => { window.kept[blob.type] = reader.result; };
  reader.readAsDataURL(blob);
  return '#';
};
HTMLAnchorElement.prototype.click = () => {};
for (const kind of ['svg', 'png', 'gif']) {
  document.querySelector(`[data-picture=${kind}]`).click();
}"""
SHOWN = """return [...document.querySelectorAll('.looked')[1].querySelectorAll('li')].map((li) =>
[li.querySelector('.sign').textContent, parseFloat(li.querySelector('.bar span').style.width)])"""
FALLS = """const text = document.querySelector('#engine').textContent;
const { Network, CountedNoise, reverse, timeGrid } =
  new Function(`${text}; return { Network, CountedNoise, reverse, timeGrid }`)();
const { shape } = JSON.parse(document.querySelector('#content').textContent).models[0];
const coded = atob(document.querySelector('#weights-32').textContent);
const bytes = Uint8Array.from(coded, (c) => c.charCodeAt(0)).buffer;
const network = new Network(shape, bytes);
const process = { ...shape, probabilities: (x, t, where) => network.probabilities(x, t, where) };
for (let seed = 0; seed < 5; seed++) {
  const noise = new CountedNoise(seed, 'reverse', 1);
  const start = Int32Array.from({ length: 32 }, (_, i) => (i * 7 + seed) % shape.vocabulary);
  for (const event of reverse(process, start, timeGrid(1, 64), (i, k) => noise.uniform(i, k)));
}
return [network.kernel.kind, 5]"""
PRESS = """document.querySelector('.rows').dispatchEvent(
new KeyboardEvent('keydown', {key: '%s', bubbles: true}))"""
OWN = """const own = document.querySelector('#own');
own.value = '%s'; own.dispatchEvent(new Event('input'))"""


@pytest.fixture(scope="module")
def page(made: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "explorer.html"
    path.write_text(render(made), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    window = Browser(tmp_path_factory.mktemp("home"))
    yield window
    window.close()


def until(window: Browser, script: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := window.run(script):
            return found
        time.sleep(0.1)
    raise AssertionError(f"never true in {seconds} s: {script}")


def seconds_of_the_page(window: Browser) -> float:
    """CPU time of the page's own thread."""

    def ask(command: str, **parameters: str) -> Any:
        wanted = {"cmd": command, "params": parameters}
        return window._call("POST", f"{window.session}/goog/cdp/execute", wanted)

    ask("Performance.enable", timeDomain="threadTicks")
    metrics = {m["name"]: m["value"] for m in ask("Performance.getMetrics")["metrics"]}
    return float(metrics["ThreadTime"])


def opened(window: Browser, page: Path, address: str = "") -> None:
    window.open("about:blank")
    window.open(page.as_uri() + address)
    until(window, ENDED)


def text_of(window: Browser, selector: str, column: int = 0) -> str:
    script = f"return document.querySelectorAll('{selector}')[{column}].textContent"
    return str(window.run(script))


def test_it_opens_with_a_fall_of_a_training_line_and_a_clean_console(
    browser: Browser, page: Path
) -> None:
    opened(browser, page)
    assert "spoiled letters came back" in text_of(browser, ".verdict")
    loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in loaded if not name.startswith("blob:")] == []
    assert browser.console() == []


def test_a_fall_is_the_one_that_python_computes(
    browser: Browser, page: Path, collection: Collection, made: Content
) -> None:
    opened(browser, page, "#line=test.2&share=30&noise=5&n=32.1024")
    row = torch.as_tensor(collection.unseen[2:3]).long()
    signs = made.said["signs"]
    for column, denoiser in enumerate(collection.models.values()):
        back = probes.recovery(denoiser, row, 0.3, steps=64, seed=5)
        assert text_of(browser, ".now", column) == "".join(signs[i] for i in back.recovered[0, 0])
        first = browser.run(
            f"return [...document.querySelectorAll('.rows')[{column}].firstChild"
            ".querySelectorAll('span')].map((s) => s.textContent).join('')"
        )
        assert first == "".join(signs[i] for i in back.corrupted[0, 0])


def test_the_distribution_of_a_token_sums_to_one_and_is_pythons(
    browser: Browser, page: Path, collection: Collection, made: Content
) -> None:
    opened(browser, page, "#line=test.0&share=30&noise=0&n=32.1024&row=0&at=7")
    until(browser, "return document.querySelectorAll('.looked li').length === 12")
    denoiser = collection.models[1024]
    assert isinstance(denoiser, NetworkDenoiser)
    row = torch.as_tensor(collection.unseen[:1]).long()
    t = 1 + 44 * (1e-5 - 1) / 64  # the smallest time of the grid that is at least 0.3
    corrupted = probes.recovery(denoiser, row, 0.3, steps=64, seed=0).corrupted[0]
    law = denoiser.log_probs(corrupted, torch.tensor([t])).exp()[0, 7]
    shown = browser.run(SHOWN)
    named = {sign: i for i, sign in enumerate(made.said["signs"])} | {"space": 3}
    for sign, width in shown:
        assert width / 100 == pytest.approx(law[named[sign]].item(), abs=2e-3)
    best = law.max().item()
    assert shown[0][1] / 100 == pytest.approx(best, abs=2e-3)


def test_a_typed_line_falls_and_what_nobody_knows_is_said(browser: Browser, page: Path) -> None:
    opened(browser, page)
    browser.run("document.querySelector('[data-kind=own]').click()")
    assert "Type a line" in text_of(browser, "#own-note")
    assert browser.run("return document.querySelector('#falls').hidden")
    browser.run(OWN % "And he saïd")
    until(browser, ENDED)
    note = text_of(browser, "#own-note")
    assert "never seen “ï”: it stands as □" in note
    assert "unseen text" in note
    assert "And he sa□d" in text_of(browser, "#sentence")
    many = "x".join("0123456789" * 4)
    browser.run(OWN % many)
    assert "too many for a row of 30" in text_of(browser, "#own-note")
    assert browser.console() == []


@pytest.mark.slow
def test_each_column_says_whether_its_model_was_trained_on_the_line(
    browser: Browser, page: Path, collection: Collection
) -> None:
    def said() -> list[str]:
        return [text_of(browser, ".column h2", column) for column in (0, 1)]

    opened(browser, page, "#line=train.3")
    sizes = ("32", "1,024")
    assert said() == [f"trained on {n} lines, this one among them" for n in sizes]
    opened(browser, page, "#line=test.3")
    assert said() == [f"trained on {n} lines, not on this one" for n in sizes]
    opened(browser, page, "#view=noise")
    assert said() == [f"trained on {n} lines" for n in sizes]
    words = collection.tokenizer.decode(collection.stored[5][1:-1].tolist()).strip()[:20]
    opened(browser, page)
    browser.run("document.querySelector('[data-kind=own]').click()")
    browser.run(OWN % words.replace("\n", " ").replace("'", "\\'"))
    assert said()[0] == "trained on 32 lines, your words among them"
    browser.run(OWN % "zqzqzq")
    assert said()[0] == "trained on 32 lines, not on your words"


@pytest.mark.slow
def test_on_a_phone_the_tour_covers_nothing_that_it_speaks_of(page: Path, tmp_path: Path) -> None:
    window = Browser(tmp_path, width=500)
    ends = """const card = document.querySelector('#tour').getBoundingClientRect().top;
return [...document.querySelectorAll('%s')].every((part) => {
  const { top, bottom } = part.getBoundingClientRect();
  return top >= 0 && bottom <= card;
})"""
    spoken = [".now", ".now", ".looked .bars li.true", "#curves svg", ".pair"]
    try:
        window.as_phone(390)
        opened(window, page)
        window.run("document.querySelector('#start-tour').click()")
        for part in spoken:
            until(window, f"return document.querySelector('{part}') !== null")
            until(window, ends % part, 20)
            window.run("document.querySelector('#tour .strong').click()")
        window.as_phone(240)
        window.run("dispatchEvent(new Event('resize'))")
        size = "parseFloat(getComputedStyle(document.querySelector('.rows')).fontSize)"
        assert window.run(f"return {size}") >= 11
    finally:
        window.close()


def test_clicked_letters_are_spoiled_and_the_address_holds_the_finding(
    browser: Browser, page: Path
) -> None:
    opened(browser, page, "#line=train.1&hand=&noise=0")
    browser.run("for (const i of [3, 8]) document.querySelectorAll('#sentence span')[i].click()")
    until(browser, ENDED)
    address = browser.run("return location.hash")
    assert "hand=3.8" in address
    assert "of 2 spoiled letters" in text_of(browser, ".verdict")
    shown = text_of(browser, ".now")
    opened(browser, page, address)
    assert text_of(browser, ".now") == shown


def test_keys_walk_through_time_and_play(browser: Browser, page: Path) -> None:
    opened(browser, page)
    most = browser.run("return document.querySelector('#moment').max")
    browser.run(PRESS % "ArrowUp")
    assert int(browser.run("return document.querySelector('#moment').value")) == int(most) - 1
    browser.run(PRESS % "ArrowRight")
    assert browser.run("return document.querySelectorAll('.picked').length") == 4
    browser.run(PRESS % " ")
    until(browser, "return document.querySelector('#play').textContent === 'Play'")
    assert browser.run("return document.querySelector('#moment').value") == most


@pytest.mark.slow
def test_the_basin_fills_in_for_every_model(browser: Browser, page: Path) -> None:
    opened(browser, page)
    browser.run("document.querySelector('#basin').scrollIntoView()")
    until(browser, "return !document.querySelector('#all-n .empty')")
    assert browser.run("return document.querySelectorAll('#curves .line').length") == 2
    assert "this training line " in text_of(browser, "#found")


@pytest.mark.slow
def test_a_fall_of_32_tokens_through_64_steps_takes_less_than_half_a_second(
    browser: Browser, page: Path
) -> None:
    opened(browser, page)
    before = seconds_of_the_page(browser)
    kind, falls = browser.run(FALLS)
    assert kind == "simd"
    # Of its own thread: what else the machine does is not counted. Reading the weights is.
    assert (seconds_of_the_page(browser) - before) / falls < 0.5


@pytest.mark.slow
def test_the_tour_ends(browser: Browser, page: Path) -> None:
    opened(browser, page)
    browser.run("document.querySelector('#start-tour').click()")
    for stop in range(5):
        assert text_of(browser, "#tour .step") == f"{stop + 1} of 5"
        looked = "return document.querySelector('.looked li') !== null"
        until(browser, looked if stop == 2 else ENDED)
        browser.run("document.querySelector('#tour .strong').click()")
    assert browser.run("return document.querySelector('#tour').hidden")
    assert "edit" in until(browser, "return document.querySelector('.nearest b')?.textContent")
    assert browser.console() == []


def test_pictures_are_made(browser: Browser, page: Path) -> None:
    opened(browser, page, "#share=10")
    browser.run(KEEPING)
    kept = until(browser, "return Object.keys(window.kept).length === 3 && window.kept")
    files = {kind: base64.b64decode(url.split(",")[1]) for kind, url in kept.items()}
    assert b"came" not in files["image/svg+xml"]
    assert files["image/svg+xml"].startswith(b"<svg")
    with Image.open(io.BytesIO(files["image/png"])) as png:
        png.load()
    with Image.open(io.BytesIO(files["image/gif"])) as gif:
        frames = gif.n_frames
        gif.seek(frames - 1)
        assert gif.convert("RGB").resize((8, 8)).getcolors() is not None
        assert frames == int(browser.run("return document.querySelector('#moment').max")) + 1


def test_without_workers_it_computes_and_says_so(
    browser: Browser, made: Content, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        render(made).replace(
            "<script>\n(() => {", "<script>delete window.Worker;</script>\n<script>\n(() => {"
        ),
        encoding="utf-8",
    )
    opened(browser, path)
    assert "has no workers" in text_of(browser, "#notice")


FAILING = """<script>
const Whole = window.Worker;
window.Worker = class extends Whole {
  constructor(url) { super(url); this.left = 3; }
  set onmessage(heard) {
    super.onmessage = (event) => {
      if (this.left-- > 0) return heard(event);
      if (this.left === -1) { this.terminate(); this.failed(); }
    };
  }
  set onerror(failed) { this.failed = failed; }
};
</script>
<script>
(() => {"""
"""A worker that gives three answers and fails."""


def test_what_a_worker_leaves_when_it_fails_is_gone_on_with(
    browser: Browser, made: Content, page: Path, tmp_path: Path
) -> None:
    rows = "return [...document.querySelectorAll('.column')].map((c) => c.innerText)"
    opened(browser, page)
    whole = browser.run(rows)
    path = tmp_path / "page.html"
    path.write_text(render(made).replace("<script>\n(() => {", FAILING), encoding="utf-8")
    opened(browser, path)
    assert "has no workers" in text_of(browser, "#notice")
    assert browser.run(rows) == whole


@pytest.mark.slow
def test_recorded_falls_are_played(
    browser: Browser, collection: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(contents, "LARGEST", 1000)
    monkeypatch.setitem(contents.RECORDED, "sentences", 1)
    monkeypatch.setitem(contents.RECORDED, "shares", (30,))
    path = tmp_path / "page.html"
    path.write_text(render(content(collection)), encoding="utf-8")
    opened(browser, path)
    browser.run("document.querySelector('.row [data-i]').click()")
    assert until(browser, "return document.querySelectorAll('.looked .bars li').length")
    assert "was not recorded" in text_of(browser, ".looked .draw")
    assert browser.console() == []


@pytest.mark.parametrize(
    "width", [390, *(pytest.param(width, marks=pytest.mark.slow) for width in (800, 1200))]
)
def test_nothing_is_wider_than_the_window(page: Path, tmp_path: Path, width: int) -> None:
    window = Browser(tmp_path, width=width)
    try:
        if width < 500:
            window.as_phone(width)
        opened(window, page)
        assert width >= 500 or window.run("return window.innerWidth") == width
        wide = window.run(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0
        assert window.screenshot(tmp_path / "page.png").stat().st_size > 10_000
    finally:
        window.close()
