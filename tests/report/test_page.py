"""The page: self-contained, escaped, complete, and drawn by a real browser without a network."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import made_up
import pytest

from attractor.measurements.fold import FOLDS
from attractor.report.beside import beside, named, shared_time
from attractor.report.page import EXPLORER, STILL, write_report
from attractor.report.sweep_files import read_report
from attractor.report.template import BUNDLE, drawing_library
from attractor.types import AttractorError

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
    assert page.stat().st_size < 2.5e6
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "measurements.json",
        "passages.json",
        "report.html",
        "transition.json",
    ]


def test_the_drawing_library_is_the_one_that_its_note_names() -> None:
    note = (BUNDLE.parent / "README.md").read_text()
    source = drawing_library()
    assert hashlib.sha256(source.encode()).hexdigest() in note
    version = re.search(r"plotly\.js \(basic - minified\) v([\d.]+)", source)
    assert version is not None
    assert f"plotly.js {version[1]}," in note
    assert (BUNDLE.parent / "LICENSE").read_text().startswith("MIT License")


def test_every_trace_is_of_the_kind_that_the_library_draws(parsed: Page) -> None:
    plots = [found for found in map(json.loads, parsed.json) if "data" in found]
    assert plots
    assert {trace["type"] for plot in plots for trace in plot["data"]} == {"scatter"}


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
    expected = ["recovery", "passages", "entropy", "numbers", "provenance", "tables"]
    expected += [fold.id for fold in FOLDS]
    expected += [section.id for section in made_up.SECTIONS]
    for section in (*expected, "scores", "detector", "gaps", "agreement", "micro", "controls"):
        assert section in ids
    targets = {(attrs["href"] or "")[1:] for tag, attrs in parsed.tags if tag == "a"}
    labels = {i for _, attrs in parsed.tags for i in (attrs.get("aria-labelledby") or "").split()}
    assert targets | labels <= set(ids)
    assert parsed.count("h1") == 1
    assert [attrs.get("lang") for tag, attrs in parsed.tags if tag == "html"] == ["en"]


def test_all_but_the_first_screen_is_folded(page: Path) -> None:
    first, *folds = page.read_text(encoding="utf-8").split('<details class="fold"')
    for what in ('id="recovery"', 'id="passages"', 'id="transition"', "<h1>"):
        assert first.count(what) == 1
    assert first.count("<figure") == 1
    assert [fold.partition('id="')[2].partition('"')[0] for fold in folds] == [
        *(fold.id for fold in FOLDS),
        "tables",
    ]
    assert all("<summary><h2>" in fold and " open" not in fold[:60] for fold in folds)


def test_typical_rows_are_said_to_be_typical(tmp_path: Path, page: Path) -> None:
    said = "the nearest to the median of both models"
    assert said not in page.read_text(encoding="utf-8")  # files of an earlier version
    texts = made_up.passages()
    for passage in texts["passages"]:
        passage |= {"chosen": "typical", "rows": 32}
    source = write_report(made_up.write(tmp_path / "s", made_up.full(), texts)).read_text()
    assert said in source
    assert "row 12 of 32, t = 0.15" in source


def test_a_place_is_as_wide_as_its_longest_token_in_every_line(tmp_path: Path) -> None:
    tokens = [
        {"original": a, "corrupted": b, "recovered": c, "outcome": "failed", "entropy": 1.0}
        for a, b, c in (("a", "[EOS]", "bc"), ("d", "e", "f"))
    ]
    views = [{"n_train": n, "seed": 0, "tokens": tokens} for n in (16, 16384)]
    texts = {"schema": 1, "passages": [{"split": "test", "row": 0, "t": 0.15, "views": views}]}
    folder = made_up.write(tmp_path / "s", made_up.full(), texts)
    assert [passage.widths for passage in read_report(folder).passages] == [[5, 1]]
    source = write_report(folder).read_text(encoding="utf-8")
    assert source.count('style="--w:5"') == 3  # in the original and in both answers
    assert "first beside" in source


def test_the_page_links_to_an_explorer_where_there_is_one(tmp_path: Path, page: Path) -> None:
    assert 'class="explorer"' not in page.read_text(encoding="utf-8")
    folder = made_up.write(tmp_path / "s", made_up.minimal())
    (folder / EXPLORER).write_text("")
    source = write_report(folder).read_text(encoding="utf-8")
    assert f'<p class="explorer"><a href="{EXPLORER}">Explore' in source


def test_a_still_of_the_explorer_leads_to_it_and_is_carried_along(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path / "s", made_up.minimal())
    (folder / STILL).write_text("<svg/>")
    assert "PHN2Zy8+" not in write_report(folder).read_text(encoding="utf-8")
    (folder / EXPLORER).write_text("")
    source = write_report(folder).read_text(encoding="utf-8")
    assert f'<a href="{EXPLORER}"><img src="data:image/svg+xml;base64,PHN2Zy8+"' in source


def test_inlined_json_is_json(parsed: Page) -> None:
    panels = [
        (len(made_up.SIZES) if s.every_size else 2) if s.x_title else max(1, len(s.panels))
        for s in made_up.SECTIONS
    ]
    swap, recovery, entropy, advantage = 1, 1, 1, 1
    assert len(parsed.json) == swap + recovery + entropy + advantage + sum(panels)
    for text in parsed.json:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_table_holds_every_size_time_and_split(parsed: Page) -> None:
    heads = [
        attrs for tag, attrs in parsed.tags if tag == "th" and attrs.get("scope") == "rowgroup"
    ]
    assert len(heads) == len(made_up.SIZES)
    assert {attrs["rowspan"] for attrs in heads} == {"4"}
    text = " ".join(parsed.text)
    assert "1,830" in text
    assert "World English Bible" in text


def test_every_returned_token_can_be_reached(parsed: Page) -> None:
    tokens = [attrs for tag, attrs in parsed.tags if tag == "span" and "data-outcome" in attrs]
    assert len(tokens) == sum(
        len(v["tokens"]) for p in made_up.passages()["passages"] for v in p["views"]
    )
    assert all("tabindex" in attrs and "data-entropy" in attrs for attrs in tokens)
    # One stop of the Tab key a line; arrow keys go on from there.
    assert sum(attrs["tabindex"] == "0" for attrs in tokens) == 4
    assert {attrs["data-outcome"] for attrs in tokens} == {
        "recovered",
        "failed",
        "broken",
        "unchanged",
    }


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
    source = write_report(made_up.write(tmp_path / "s", made_up.minimal(), texts)).read_text(
        encoding="utf-8"
    )
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
    assert {"recovery", "entropy", "perplexity", "broken", "numbers", "provenance"} <= set(
        page.ids()
    )


def test_reason_is_shown_without_n_star(tmp_path: Path) -> None:
    data = made_up.minimal()
    data["transition"][1] |= {
        "n_star": None,
        "ci": None,
        "width": None,
        "reason": "fewer than 4 sizes",
    }
    text = " ".join(Page(write_report(made_up.write(tmp_path / "s", data))).text)
    assert "fewer than 4 sizes" in text


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


def test_control_characters_do_not_reach_the_page(tmp_path: Path) -> None:
    texts = made_up.passages()
    texts["passages"][0]["views"][0]["tokens"][0]["recovered"] = "a\x00\x1b\x7fb"
    data = made_up.full(corpus="evil\x08corpus")
    page = write_report(made_up.write(tmp_path / "s", data, texts)).read_text(encoding="utf-8")
    head, _, tail = page.partition("<script>")  # the drawing library keeps its own
    own = head + tail.rpartition("</script>")[2]
    assert not [c for c in own if ord(c) < 32 and c not in "\n\t"]
    assert "\x7f" not in own
    assert "a\ufffd\ufffd\ufffdb" in page


def test_sweeps_are_laid_over_each_other(tmp_path: Path) -> None:
    """Recovery at the smallest t that both have, entropy, and n* of each; named by what tells them
    apart."""
    folders = []
    for noise, drop in (("uniform", None), ("absorbing", made_up.TIMES[0])):
        data = made_up.full()
        data["measurements"]["provenance"]["process"] = noise
        for rows in (data["rows"], data["transition"]):
            rows[:] = [row for row in rows if row["t"] != drop]
        folders.append(made_up.write(tmp_path / noise[:2], data))
    parsed = Page(write_report(folders[0], folders[1:]))
    assert {"beside", "beside-recovery-plot", "beside-entropy-plot", "beside-stars"} <= set(
        parsed.ids()
    )
    text = " ".join(parsed.text)
    assert "The sweeps differ in noise." in text
    both = read_report(folders[0], folders[1:])
    assert list(named(both)) == ["uniform", "absorbing"]
    assert shared_time(named(both)) == made_up.TIMES[1]
    figure = beside(both)
    assert figure is not None
    for panel in figure.panels:
        assert sum(trace["mode"] == "lines+markers" for trace in panel.spec["data"]) == 4
    assert list(named(read_report(folders[0], folders[:1]))) == ["1: un", "2: un"]


def test_nothing_is_beside_a_folder_without_a_sweep(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path / "one", made_up.minimal())
    (tmp_path / "empty").mkdir()
    with pytest.raises(AttractorError, match=r"empty/transition\.json: no such file"):
        write_report(folder, [tmp_path / "empty"])
