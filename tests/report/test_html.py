"""The page: self-contained, escaped, complete, and drawn by a real browser without a network."""

from __future__ import annotations

import json
import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import made_up
import pytest

from attractor.report.html import write_report
from attractor.types import AttractorError

CHROMIUM = Path("/usr/bin/chromium")
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags, ids, and the text of inlined JSON; fails on tags closed out of order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.json: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            if self.tags[-1][1].get("type") == "application/json":
                self.json.append(data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="session")
def parsed(page: Path) -> Page:
    return Page(page)


def test_size_and_place(page: Path) -> None:
    assert page.name == "report.html"
    assert page.stat().st_size < 15e6
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "measurements.json",
        "passages.json",
        "report.html",
        "transition.json",
    ]


def test_nothing_is_loaded(page: Path, parsed: Page) -> None:
    for tag, attrs in parsed.tags:
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            value = attrs.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, name, value)
    own = page.read_text(encoding="utf-8").partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in own
    assert "@import" not in own


def test_structure(parsed: Page) -> None:
    ids = parsed.ids()
    assert len(ids) == len(set(ids))
    for section in ("recovery", "passages", "entropy", "perplexity", "broken", "gap", "fixed", "numbers", "provenance"):
        assert section in ids
    targets = {(attrs["href"] or "")[1:] for tag, attrs in parsed.tags if tag == "a"}
    labels = {i for _, attrs in parsed.tags for i in (attrs.get("aria-labelledby") or "").split()}
    assert targets | labels <= set(ids)
    assert parsed.count("h1") == 1
    assert [attrs.get("lang") for tag, attrs in parsed.tags if tag == "html"] == ["en"]


def test_inlined_json_is_json(parsed: Page) -> None:
    assert len(parsed.json) == 1 + 7
    for text in parsed.json:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_table_holds_every_size_time_and_split(parsed: Page) -> None:
    heads = [attrs for tag, attrs in parsed.tags if tag == "th" and attrs.get("scope") == "rowgroup"]
    assert len(heads) == len(made_up.SIZES)
    assert {attrs["rowspan"] for attrs in heads} == {"4"}
    text = " ".join(parsed.text)
    assert "1,830" in text
    assert "World English Bible" in text


def test_every_returned_token_can_be_reached(parsed: Page) -> None:
    tokens = [attrs for tag, attrs in parsed.tags if tag == "span" and "data-outcome" in attrs]
    assert len(tokens) == sum(len(v["tokens"]) for p in made_up.passages()["passages"] for v in p["views"])
    assert all("tabindex" in attrs and "data-entropy" in attrs for attrs in tokens)
    # One stop of the Tab key a line; arrow keys go on from there.
    assert sum(attrs["tabindex"] == "0" for attrs in tokens) == 4
    assert {attrs["data-outcome"] for attrs in tokens} == {"recovered", "failed", "broken", "unchanged"}


def test_corpus_text_is_escaped(tmp_path: Path, page: Path, parsed: Page) -> None:
    texts = made_up.passages()
    for stage in ("original", "corrupted", "recovered"):
        texts["passages"][0]["views"][0]["tokens"][1][stage] = EVIL
    data = made_up.full(corpus=EVIL)
    data["measurements"]["provenance"]["tokenizer"] = data["transition"][1]["reason"] = EVIL
    data["transition"][1]["n_star"] = None
    path = write_report(made_up.write(tmp_path / "a<script>b", data, texts))
    evil = Page(path)
    source = path.read_text(encoding="utf-8")
    assert "<script>alert" not in source
    assert "<img" not in source
    assert evil.count("script") == parsed.count("script")
    assert evil.count("img") == 0
    assert "alert(1)" in "".join(evil.text)
    assert any(attrs.get("data-from") == EVIL for _, attrs in evil.tags)


def test_invisible_tokens_are_shown(tmp_path: Path) -> None:
    texts = made_up.passages()
    texts["passages"][0]["views"][0]["tokens"][0]["recovered"] = ""
    texts["passages"][0]["views"][0]["tokens"][1]["recovered"] = "\n"
    source = write_report(made_up.write(tmp_path / "s", made_up.full(), texts)).read_text(encoding="utf-8")
    assert ">∅</span>" in source
    assert ">↵</span>" in source


def test_passages_with_other_noise_show_their_own_text(tmp_path: Path, parsed: Page) -> None:
    texts = made_up.passages()
    texts["passages"][0]["views"][1]["tokens"][0]["corrupted"] = "other"
    page = Page(write_report(made_up.write(tmp_path / "s", made_up.full(), texts)))
    assert page.count("h4") == parsed.count("h4") + 2


def test_absent_sections(tmp_path: Path) -> None:
    page = Page(write_report(made_up.write(tmp_path / "s", made_up.minimal())))
    assert not {"passages", "gap", "fixed"} & set(page.ids())
    assert {"recovery", "entropy", "perplexity", "broken", "numbers", "provenance"} <= set(page.ids())


def test_reason_is_shown_without_n_star(tmp_path: Path) -> None:
    data = made_up.minimal()
    data["transition"][1] |= {"n_star": None, "ci": None, "width": None, "reason": "fewer than 4 sizes"}
    text = " ".join(Page(write_report(made_up.write(tmp_path / "s", data))).text)
    assert "there is no n*: fewer than 4 sizes." in text


def test_a_failure_leaves_the_old_page(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path / "s", made_up.minimal())
    old = write_report(folder).read_bytes()
    made_up.write(folder, made_up.minimal() | {"rows": []})
    with pytest.raises(AttractorError, match="no rows"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == old
    assert len(list(folder.iterdir())) == 2


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match="nowhere: no such directory"):
        write_report(tmp_path / "nowhere")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: install the Debian package `chromium`")
def test_a_browser_draws_it_from_disk_without_a_network(page: Path, tmp_path: Path) -> None:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}", "--enable-logging=stderr",
        "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    env = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    # Each of the seven plots has its main layer, and the hero its curves.
    assert done.stdout.count('class="main-svg"') >= 7
    assert done.stdout.count('class="trace scatter') > 20
