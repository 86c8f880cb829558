"""Every format and oddity of text, read at once and streamed: the same documents, or the same
complaint. The rows of the table in docs/file-formats.md are those of the table here."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attractor.audits.reference import read_reference
from attractor.cli import main
from attractor.config.settings import DataConfig
from attractor.data import readers, sources
from attractor.data.corpus import read_documents
from attractor.data.dataset import prepare_dataset
from attractor.data.packing import open_rows
from attractor.types import AttractorError

FAULTS = Path(__file__).parent / "faults"
PAGE = Path(__file__).parents[2] / "docs" / "file-formats.md"


class Case(NamedTuple):
    """Files in a folder, and what reading them gives."""

    oddity: str
    """as the table of the documentation names it"""
    files: dict[str, bytes | str]
    documents: list[str] | str
    """what comes out, or a pattern of the complaint"""
    notice: str = ""
    """a pattern of what is said; empty if nothing is"""
    alone: bool = True
    """whether the first file is the source, and not the folder"""


def jsonl(*texts: object) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def parquet(*values: object, kind: pa.DataType | None = None, names: tuple[str, ...] = ()) -> bytes:
    array = pa.array(values) if kind is None else pa.array(values).cast(kind)
    file = BytesIO()
    names = names or ("text",)
    pq.write_table(pa.table([array] * len(names), names=list(names)), file)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


MANY = "".join(f"line {i}\n" for i in range(9_000)).encode()
LINES = MANY.decode().split("\n")[:-1]
AB = ["a", "b"]
FORMATS = [
    Case("`.txt`", {"x.txt": "a\n b \nc d"}, ["a", "b", "c d"]),
    Case("`.txt`", {"X.TXT": "a\nb\n"}, AB),
    Case("`.txt`", {"x.txt": "a\nb\n\n\n \t\nc\n"}, ["a\nb", "c"]),
    Case("`.txt`", {"x.txt": "\n \n\na\nb\n\n\n"}, AB),
    Case("`.jsonl`", {"x.jsonl": jsonl("a", None, " ", "b\n\nc")}, ["a", "b\n\nc"]),
    Case("`.parquet`", {"x.parquet": parquet("a", None, "b\n\nc", " ")}, ["a", "b\n\nc"]),
    Case("`.parquet`", {"x.parquet": parquet(*LINES)}, LINES),
    *(
        Case("`.gz`, `.zst`", {f"x{ending}.{kind}": pack(content)}, documents)
        for kind, pack in (("gz", gzip.compress), ("zst", zstd), ("GZ", gzip.compress))
        for ending, content, documents in (
            (".txt", MANY, LINES),
            (".txt", b"a\nb\n\nc", ["a\nb", "c"]),
            (".jsonl", jsonl("a", "b").encode(), AB),
            (".parquet", parquet("a", "b"), AB),
        )
    ),
]
TEXT = [
    Case("line ends", {"x.txt": "a\rb\rc d"}, ["a", "b", "c d"]),
    Case("line ends", {"x.txt": "a\r\nb\nc\rd"}, ["a", "b", "c", "d"]),
    Case("line ends", {"x.txt": "a\r\nb\r\n\r\nc"}, ["a\nb", "c"]),
    Case("line ends", {"x.txt": "a\rb\r\rc"}, ["a\nb", "c"]),
    Case("line ends", {"x.jsonl": jsonl("a", "b").replace("\n", "\r")}, AB),
    Case("line ends", {"x.jsonl": "\r\n" + jsonl("a", "b").replace("\n", "\r\n\r\n")}, AB),
    Case("other signs", {"x.txt": "\x0ca\x0cb\nc\u2028d\x85e\x0bf\x1cg\n\x0ch"},
         ["a\x0cb", "c\u2028d\x85e\x0bf\x1cg", "h"]),
    Case("other signs", {"x.txt": "a\n\x0c\nb\nc"}, ["a", "b\nc"]),
    Case("other signs", {"x.jsonl": '{"text": "a\u2028b\x85c"}'}, ["a\u2028b\x85c"]),
    Case("long lines", {"x.txt": "a" * 300_000 + "\nb"}, ["a" * 300_000, "b"]),
    Case("long lines", {"x.jsonl": jsonl("é" * 300_000, "b")}, ["é" * 300_000, "b"]),
    Case("byte-order marks", {"x.txt": "\ufeffa\nb"}, AB),
    Case("byte-order marks", {"x.txt": "\ufeffa\n\ufeffb"}, AB),
    Case("byte-order marks", {"x.txt": "\ufeff\na\nb"}, AB),
    Case("byte-order marks", {"x.jsonl": "\ufeff" + jsonl("a") + "\ufeff" + jsonl("b")}, AB),
    Case("byte-order marks", {"x.txt.gz": gzip.compress("\ufeffa\nb".encode())}, AB),
    *(Case("byte-order marks", {"x.txt": "\ufeffé\r\nb".encode(encoding)}, ["é", "b"])
      for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")),
    Case("byte-order marks", {"x.jsonl": jsonl("a", "b").encode("utf-16")}, AB),
    Case("byte-order marks", {"x.txt": "\ufeffab".encode("utf-16-le")[:-1]},
         r"^'x\.txt' is not valid UTF-16"),
    Case("no UTF-8", {"x.txt": "a\nb".encode("utf-16-le")}, r"'x\.txt' is binary, or UTF-16"),
    Case("no UTF-8", {"x.jsonl": jsonl("a").encode("utf-16-be")}, r"'x\.jsonl' is binary, or"),
    Case("no UTF-8", {"x.txt": MANY + b"caf\xe9 \n" + MANY},
         r"^'x\.txt', line 9001: not valid UTF-8 \(byte 0xe9 after 3 characters\)$"),
    Case("no UTF-8", {"x.txt": b"a\rb\xed\xa0\x80"}, r"line 2: not valid UTF-8 \(byte 0xed"),
    Case("no UTF-8", {"x.txt": "abé".encode()[:-1]}, r"not valid UTF-8 \(byte 0xc3 after 2"),
    Case("no UTF-8", {"x.jsonl": b'{"text": "a"}\n{"text": "\xff"}'},
         r"^'x\.jsonl', line 2: not valid UTF-8 \(byte 0xff after 10 characters\)$"),
    Case("NUL", {"x.txt": "abcd\0e\nb"}, ["abcd\0e", "b"]),
    Case("NUL", {"x.jsonl": jsonl("\0a", "b")}, ["\0a", "b"]),
    Case("NUL", {"x.parquet": parquet("\0a", "b")}, ["\0a", "b"]),
]  # fmt: skip
RECORDS = [
    Case("long numbers", {"x.jsonl": '{"text": "a", "n": ' + "9" * 5_000 + "}\n" + jsonl("b")}, AB),
    Case("long numbers", {"x.jsonl": '{"n": [-1' + "0" * 5_000 + ', 1e99], "text": "a"}'}, ["a"]),
    Case("deep records", {"x.jsonl": jsonl("a") + '{"x": ' + "[" * 10**5 + "]" * 10**5 + "}"},
         r"^'x\.jsonl', line 2: JSON nested too deeply to be read$"),
    Case("deep records", {"x.jsonl": '{"text":' * 10**5}, r"line 1: JSON nested too deeply"),
    Case("half a pair", {"x.jsonl": jsonl("a", "é\ud83d b")},
         r"^'x\.jsonl', line 2: column 'text' is not valid UTF-8: it holds U\+D83D"),
    Case("half a pair", {"x.jsonl": jsonl("\ude00")}, r"line 1: column 'text' .* U\+DE00"),
    Case("half a pair", {"x.jsonl": '{"n": "\\ud800", "text": "\\ud83d\\ude00"}'}, ["😀"]),
    Case("bad records", {"x.jsonl": jsonl("a") + '{"text": '}, r"line 2: invalid JSON \(Expecting"),
    Case("bad records", {"x.jsonl": jsonl("a") * 2 + '["b"]'}, r"line 3: expected .*, got list"),
    Case("bad records", {"x.jsonl": "null"}, r"line 1: expected a JSON object, got null"),
    Case("bad records", {"x.jsonl": '{"a": 1, "b": 2}'}, r"line 1: no column 'text'; .*: a, b"),
    Case("bad records", {"x.jsonl": "{}"}, r"line 1: no column 'text'; available: none"),
    Case("bad records", {"x.jsonl": jsonl("a", 12)}, r"line 2: column 'text' must .*, got int"),
    Case("bad records", {"x.jsonl": jsonl("a", ["b"])}, r"column 'text' must be text, got list"),
    *(Case("kinds of text", {"x.parquet": parquet("é", None, "b", kind=kind)}, ["é", "b"])
      for kind in (pa.string(), pa.large_string(), pa.string_view(),
                   pa.dictionary(pa.int32(), pa.string()),
                   pa.dictionary(pa.int8(), pa.large_string()))),
    Case("kinds of text", {"a.parquet": parquet(None, None), "b.txt": "b"}, ["b"], alone=False),
    *(Case("other columns", {"x.parquet": parquet(*values, kind=kind)},
           rf"^'x\.parquet': column 'text' must be text, got {found}")
      for values, kind, found in (((1, 2), pa.int64(), "int64"), ((b"a",), None, "binary"),
                                  ((["a"],), None, "list"), (({"a": "b"},), None, "struct"))),
    Case("other columns", {"x.parquet": parquet("a", names=("a", "b"))},
         r"^'x\.parquet': no column 'text'; available: a, b$"),
    Case("other columns", {"x.parquet": parquet("a", names=("text", "text"))},
         r"^'x\.parquet': 2 columns are called 'text'$"),
    Case("bad bytes", {"x.parquet": (FAULTS / "bu.parquet").read_bytes()},
         r"^'x\.parquet', row 1: column 'text' is not valid UTF-8 \(invalid start byte\)$"),
    Case("damaged", {"x.parquet": "no table"}, r"^'x\.parquet' is not a Parquet file: "),
    Case("damaged", {"x.parquet": parquet(*LINES)[:-100]}, r"^'x\.parquet' is not a Parquet file"),
    Case("damaged", {"x.parquet": b""}, r"^'x\.parquet' is not a Parquet file"),
    Case("damaged", {"x.parquet": b"PAR1" + b"\xff" * 3_000 + parquet(*LINES)[3_004:]},
         r"^'x\.parquet' cannot be read to its end: "),
    *(Case("damaged", {f"x{ending}": content}, rf"^'x{ending}' cannot be read to its end: \w")
      for ending, content in (
          (".txt.gz", gzip.compress(MANY)[:-100]), (".txt.gz", gzip.compress(MANY)[:-4]),
          (".txt.zst", zstd(MANY)[:-1]), (".jsonl.gz", jsonl("a").encode()),
          (".parquet.gz", gzip.compress(parquet("a", "b"))[:-20]),
          (".txt.zst", b"a\nb"), (".txt.gz", gzip.compress(b"a\nb") + b"more"))),
    Case("damaged", {"x.parquet.zst": zstd(b"no table")}, r"^'x\.parquet\.zst' is not a Parquet"),
    Case("parts", {"x.txt.gz": gzip.compress(b"a\nb") + gzip.compress(b"c")}, ["a", "bc"]),
    Case("parts", {"x.jsonl.zst": zstd(jsonl("a").encode()) + zstd(jsonl("b").encode())}, AB),
    *(Case("empty", {name: content}, r"'x.*' is empty: at least one document with text is needed")
      for name, content in (("x.txt", ""), ("x.txt", " \n\t\r\n\x0c"), ("x.txt", "\ufeff"),
                            ("x.jsonl", "\n"), ("x.jsonl", jsonl(None, "")), ("x.txt.gz", b""),
                            ("x.txt.zst", zstd(b"")), ("x.parquet", parquet(None, None)),
                            ("x.parquet", parquet(kind=pa.string())))),
    Case("empty", {"a.txt": "", "b.jsonl": "", "c.txt": "a\nb"}, AB, alone=False),
]  # fmt: skip
SKIPPED = r"^'\S+' skipped: "
FOLDERS = [
    Case("folders", {"b/d.txt": "c", "b.txt": "b", "a/b/c.txt": "a"}, ["a", "c", "b"], alone=False),
    Case("folders", {"a.jsonl": jsonl("a"), "b.parquet": parquet("b"), "c.txt": "c",
                     "a.txt": "d", "e.TXT.gz": gzip.compress(b"e"), "f.parquet.zst":
                     zstd(parquet("f"))}, ["a", "d", "b", "c", "e", "f"], alone=False),
    Case("hidden", {"._a.txt": b"\0\x05\x16\x07", ".cache/x.txt": "c", "a.txt": "a\nb"}, AB,
         SKIPPED + r"hidden \(\.cache and 1 more\)$", alone=False),
    Case("hidden", {".a.txt": "a\nb"}, AB),
    Case("other endings", {"a.txt": "a\nb", "b/c.csv": "c", "d.md.gz": "", "LICENSE": "e"}, AB,
         SKIPPED + r"of another kind \(LICENSE and 2 more\)$", alone=False),
    Case("other endings", {"x.csv": "a"},
         r"^cannot read 'x\.csv' \(suffix '\.csv'\); accepted: 'bible', a \.txt, \.jsonl or"),
    Case("other endings", {"x.tsv.gz": b"a"}, r"^cannot read 'x\.tsv\.gz' \(suffix '\.tsv\.gz'\)"),
    Case("other endings", {"x.gz": b"a"}, r"^cannot read 'x\.gz' \(suffix '\.gz'\)"),
    Case("other endings", {"x": b"a"}, r"^cannot read 'x' \(suffix ''\)"),
    Case("other endings", {"a.json": "", ".b.txt": ""},
         r"holds no file ending in \.txt, \.jsonl, \.parquet, with or without \.gz or \.zst; "
         r"skipped: hidden \(\.b\.txt\), of another kind \(a\.json\)$", alone=False),
    Case("compressed copies", {"a.jsonl": jsonl("a"), "a.jsonl.gz": b"", "a.jsonl.zst": b"",
                               "a.txt.gz": gzip.compress(b"b"), "a.txt.zst": b""}, AB,
         SKIPPED + r"a compressed copy \(a\.jsonl\.gz and 2 more\)$", alone=False),
    Case("training and unseen", {"train.txt": "a", "x.txt": "b"}, AB, alone=False),
    Case("training and unseen", {"contest.txt": "a", "train.txt": "b"}, AB, alone=False),
]  # fmt: skip
CASES = [*FORMATS, *TEXT, *RECORDS, *FOLDERS]


def written(case: Case, folder: Path) -> Path:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / next(iter(case.files)) if case.alone else folder


def at_once(path: str) -> list[str]:
    return read_documents(path)


def streamed(path: str) -> list[str]:
    found = sources.find_source(path, "text", "", "", "", "")
    assert found is not None
    assert found.test is None
    first, again = list(found.train()), list(found.train())
    assert first == again
    return [text for document in first if (text := document.strip())]


WAYS = {"at once": at_once, "streamed": streamed}


@pytest.fixture(params=WAYS)
def read(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[str]]:
    monkeypatch.setattr(sources, "LARGE", -1 if request.param == "streamed" else 2**27)
    return WAYS[request.param]


def outcome(read: Callable[[str], list[str]], case: Case, folder: Path) -> list[str] | str:
    """The documents, or the complaint with paths that are relative to the folder."""
    path = str(written(case, folder))
    said = warnings.catch_warnings(record=True)
    with said as notices:
        warnings.simplefilter("always")
        try:
            found: list[str] | str = read(path)
        except AttractorError as error:
            found = str(error).replace(f"{folder}/", "")
    assert [bool(re.search(case.notice, str(notice.message))) for notice in notices] == (
        [True] if case.notice else []
    )
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.oddity}: {min(case.files)}")
def test_each_oddity_is_read_alike(
    case: Case, read: Callable[[str], list[str]], tmp_path: Path
) -> None:
    if read is streamed and case.oddity == "empty" and isinstance(case.documents, str):
        case = case._replace(documents=[])  # packing complains of it
    found = outcome(read, case, tmp_path)
    if isinstance(case.documents, list):
        assert found == case.documents
    else:
        assert isinstance(found, str), found[:3]
        assert re.search(case.documents, found), found
        assert "\n" not in found


def test_the_page_has_every_oddity_and_no_other() -> None:
    section = PAGE.read_text().split("\n## Text that is read\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    known = {case.oddity for case in CASES} | {"pipes", "links"}
    assert {row for row in rows if row not in ("format", "oddity")} == known


@pytest.mark.parametrize(
    ("name", "documents", "first"), [("d.parquet", 60, "a small dog"), ("cjk.txt", 60, "今日は天")]
)
def test_files_that_broke_something(
    name: str, documents: int, first: str, read: Callable[[str], list[str]]
) -> None:
    found = read(str(FAULTS / name))
    assert len(found) == documents
    assert found[0].startswith(first)


def test_pipes_are_never_opened(read: Callable[[str], list[str]], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.txt")
    os.mkfifo(tmp_path / "y.parquet")
    for name in ("x.txt", "y.parquet"):
        with pytest.raises(AttractorError, match=rf"{name}' is no regular file \(a pipe"):
            read(str(tmp_path / name))
    (tmp_path / "z.txt").write_text("a\nb")
    with pytest.warns(UserWarning, match=r"skipped: no regular file \(x\.txt and 1 more\)"):
        assert read(str(tmp_path)) == AB


@pytest.mark.parametrize("name", ["rows.npy", "text8", "curves.json"])
def test_pipes_of_other_kinds_are_never_opened(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    opening: dict[str, Callable[[], object]] = {
        "rows.npy": lambda: open_rows(tmp_path / name),
        "text8": lambda: sources.find_source(f"text8:{tmp_path}", "text", "", "", "", ""),
        "curves.json": lambda: read_reference(tmp_path / name),
    }
    with pytest.raises(AttractorError, match="is no regular file"):
        opening[name]()


def test_links(read: Callable[[str], list[str]], tmp_path: Path) -> None:
    """Of files they are followed, of folders not: these may lead in circles."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("b")
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "c.txt").symlink_to("c.txt")
    (folder / "d.txt").symlink_to("gone.txt")
    (folder / "round").symlink_to(folder)
    (folder / "up").symlink_to("..")
    with pytest.warns(UserWarning, match="skipped") as said:
        assert read(str(folder)) == AB
    (notice,) = said
    assert str(notice.message) == (
        f"'{folder}' skipped: a link to a folder (round and 1 more), no regular file (c.txt and "
        "1 more)"
    )
    (tmp_path / "texts-too").symlink_to(folder)
    with pytest.warns(UserWarning, match="skipped: a link"):
        assert read(str(tmp_path / "texts-too")) == AB
    with pytest.raises(AttractorError, match=r"c\.txt' does not exist"):
        at_once(str(folder / "c.txt"))


@pytest.mark.parametrize(
    ("train", "unseen", "others"),
    [
        (["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl.gz"],
         ["data/test-00000-of-00001.jsonl"], ["data/validation-00000-of-00001.jsonl"]),
        (["train/0000.jsonl", "train/1.jsonl"], ["validation/0000.jsonl"], []),
        (["en.TRAIN_2.jsonl", "en.train.jsonl"], ["en.eval.jsonl"], ["notes.jsonl", "dev0.jsonl"]),
        (["a/train/x.jsonl", "b/training/x.jsonl"], ["a/test/x.jsonl"], []),
    ],
)  # fmt: skip
def test_unseen_text_of_a_folder_is_never_trained_on(
    train: list[str], unseen: list[str], others: list[str], tmp_path: Path
) -> None:
    """However small, and whether or not it is streamed."""
    for name in [*train, *unseen, *others]:
        content = jsonl(f"{name} one", f"{name} two").encode()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.warns(UserWarning, match="by name") as said:
        found = sources.find_source(str(tmp_path), "text", "", "", "", "")
    assert found is not None
    assert found.test is not None
    assert list(found.train()) == [f"{name} {i}" for name in train for i in ("one", "two")]
    assert list(found.test()) == [f"{name} {i}" for name in unseen for i in ("one", "two")]
    told = r"holds training text \('.*'\) and unseen text \('.*'\): name a file or a folder"
    with pytest.raises(AttractorError, match=told):
        at_once(str(tmp_path))
    (notice,) = said
    expected = f"' holds 2 files of training text by name and 1 of unseen text ({unseen[0]})"
    if others:
        expected += f"; skipped: neither training nor unseen text by name ({min(others)}"
        expected += " and 1 more)" if len(others) > 1 else ")"
    assert str(notice.message).endswith(expected)


def test_what_is_skipped_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.txt").write_text("".join(f"the number {i}\n" for i in range(200)))
    (text / "a.csv").write_text("")
    config = DataConfig(source=str(text), tokenizer="char", seq_len=16)
    for large in (2**27, -1):
        monkeypatch.setattr(sources, "LARGE", large)
        (folder := tmp_path / f"out{large}").mkdir()
        with pytest.warns(UserWarning, match=r"skipped: of another kind \(a\.csv\)") as said:
            made = prepare_dataset(folder, config)
        assert len(said) == 1
        assert made.counts.documents == 200


def test_compressed_files_count_as_their_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGE", 1_000)
    for name, size, is_large in (("a.txt", 1_001, True), ("a.txt", 1_000, False),
                                 ("a.txt.gz", 251, True), ("a.txt.gz", 250, False)):  # fmt: skip
        (tmp_path / name).write_bytes(b"a" * size)
        found = sources.find_source(str(tmp_path / name), "text", "", "", "", "")
        assert (found is not None) == is_large


def test_a_paragraph_that_is_most_of_a_file(
    read: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One blank line among millions of lines makes two documents of them."""
    monkeypatch.setattr(readers, "LONGEST", 1_000)
    path = tmp_path / "x.txt"
    path.write_text("a\n" * 1_001 + "\nb\n")
    with pytest.raises(AttractorError, match="a paragraph of more than 1,000 characters; where a"):
        read(str(path))
    path.write_text("a" * 2_000 + "\n\nb\n")
    assert len(read(str(path))) == 2


def test_a_stream_that_is_left_early_closes_its_files(tmp_path: Path) -> None:
    """What is opened is closed at once: a warning of a file left open would fail the test."""
    for name, content in (("x.txt", b"a\nb\n\nc"), ("x.jsonl", jsonl("a", "b").encode()),
                          ("x.parquet", parquet("a", "b"))):  # fmt: skip
        for path, packed in ((tmp_path / name, content),
                             (tmp_path / f"{name}.gz", gzip.compress(content))):  # fmt: skip
            path.write_bytes(packed)
            stream = readers.read_files([path], "text")
            assert next(stream).startswith("a")
            stream.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("case", "line"),
    [
        (next(case for case in CASES if case.oddity == "deep records"), "line 2"),
        (next(case for case in CASES if case.oddity == "half a pair"), "line 2"),
        (next(case for case in CASES if case.oddity == "bad bytes"), "row 1"),
        (Case("", {"x.txt": "one line is a whole book\n"}, ""), "1 different document is too few"),
    ],
)
def test_the_command_line_says_it_in_one_line(
    case: Case, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(case, tmp_path)
    out = str(tmp_path / "out")
    assert main(["train", "--preset", "demo", "--out", out, "--data.source", str(path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("attractor: ")
    assert line in said


def test_a_book_of_one_line_is_told_how_documents_are_separated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text("one line is a whole book\n")
    config = DataConfig(source=str(tmp_path / "x.txt"), tokenizer="char", seq_len=16)
    for large in (2**27, -1):
        monkeypatch.setattr(sources, "LARGE", large)
        told = r"; documents are the paragraphs of a \.txt file if it has a blank line between"
        with pytest.raises(AttractorError, match=told), contextlib.suppress(FileNotFoundError):
            prepare_dataset(tmp_path / "out", config)
