"""Text that is too much for memory, one document after another: named corpora, data sets of the
Hub, large files."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from attractor.data.corpora import CORPORA, TEXT8_TEST, TEXT8_TRAIN, Corpus
from attractor.data.corpus import BUILTIN
from attractor.data.folders import text_files
from attractor.data.readers import as_text, check_column, lines, opened, read_files
from attractor.machine.files import require_regular
from attractor.machine.hub import commit_of, first_line, why_closed
from attractor.machine.paths import require_not_meant_here
from attractor.types import AttractorError

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
LARGE = 2**27
"""Bytes of text in local files above which they are streamed."""
TEXT8_PIECE = 2**16
"""Characters of text8, which has no documents, that are taken for one."""
FROM_HUB = ("train-*.parquet train/*.parquet", "test-*.parquet test/*.parquet")
"""Files of a data set of the Hub that was downloaded, as its authors or as the Hub cut them."""

Documents = Callable[[], Iterator[str]]
"""Starts a stream of documents from its beginning."""


class TextSource(NamedTuple):
    """Two streams of documents, each started anew by calling it."""

    train: Documents
    test: Documents | None
    """None if unseen documents are to be held out of `train`"""
    name: str
    commit: str = ""
    """of a data set of the Hub; empty where it is not known"""


def find_source(
    source: str, column: str, subset: str, split: str, test_split: str, revision: str
) -> TextSource | None:
    """The stream that a source names, or None where it is small enough to be read at once.

    A source is `name:path` or `name` for a corpus of `CORPORA`, a Hub id `owner/name`, or a path. A
    folder with unseen text of its own is a stream, however small.

    Raises:
        AttractorError: if it is none of these, or the Hub cannot be reached and holds no copy here.
    """
    name, colon, path = source.partition(":")
    if name in CORPORA and not Path(source).exists():
        corpus = CORPORA[name]
        if colon:
            return _local(name, corpus, Path(path).expanduser(), column)
        if not corpus.hub_id:
            raise AttractorError(
                f"'{name}' is not on the Hub: download {corpus.from_web} and give '{name}:PATH'"
            )
        known = corpus._replace(
            subset=subset or corpus.subset,
            revision=revision or corpus.revision,
            train=split or corpus.train,
            test=test_split or corpus.test,
        )
        return _hub(known, column, source)
    # A path that exists is that path, whatever it looks like; a suffix says that a path was meant.
    here = Path(source).expanduser()
    if source != BUILTIN and not here.exists() and HUB_ID.fullmatch(source) and not here.suffix:
        if not revision:
            require_not_meant_here(source)
        asked = Corpus(
            source, subset=subset, revision=revision, train=split or "train", test=test_split
        )
        return _hub(asked, column, source)
    for option, value in (
        ("subset", subset),
        ("split", split),
        ("test_split", test_split),
        ("revision", revision),
    ):
        if value:
            raise AttractorError(
                f"{option} = {value!r} is for data sets of the Hub, and '{source}' is none"
            )
    if source == BUILTIN or not here.exists():
        return None
    files = text_files(here)
    if not files.unseen and files.size() <= LARGE:
        return None
    files.say()
    return TextSource(
        lambda: read_files(files.train, column),
        (lambda: read_files(files.unseen, column)) if files.unseen else None,
        source,
    )


def _local(name: str, corpus: Corpus, path: Path, column: str) -> TextSource:
    """A corpus in its original files, or in the files of the Hub."""
    if not path.exists():
        raise AttractorError(
            f"'{path}' does not exist; '{name}:PATH' names where {_where(corpus)} was put"
        )
    if name == "text8":
        text = _text8(path)
        first, last = int(TEXT8_TRAIN * len(text)), int(TEXT8_TEST * len(text))
        return TextSource(lambda: _pieces(text[:first]), lambda: _pieces(text[last:]), name)
    # Somebody may have the files as they were published, or as the Hub has cut them anew.
    patterns = corpus.files if _originals(path, corpus.files[0]) else FROM_HUB
    if not _originals(path, patterns[0]):
        raise AttractorError(
            f"'{path}' does not hold {name}: looked for {corpus.files[0] or patterns[0]}"
        )

    def stream(pattern: str) -> Documents:
        return lambda: map(corpus.detokenize, _members(path, pattern, column))

    has_test = bool(corpus.test) and bool(_originals(path, patterns[1]))
    return TextSource(stream(patterns[0]), stream(patterns[1]) if has_test else None, name)


def _where(corpus: Corpus) -> str:
    return corpus.from_web or f"https://huggingface.co/datasets/{corpus.hub_id}"


def _originals(path: Path, pattern: str) -> list[str]:
    """Names of the files that match, in a folder or in a tar; empty for an empty pattern."""
    if not pattern:
        return []
    if path.is_file():
        with _tar(path) as archive:
            # The first is enough: to see all names, the whole archive would have to be unpacked.
            for member in _entries(archive, path):
                if member.isfile() and _matches(member.name, pattern):
                    return [member.name]
        return []
    names = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return sorted(
        str(path / name)
        for name in names
        if _matches(str(name), pattern) and not any(part.startswith(".") for part in name.parts)
    )


def _matches(name: str, pattern: str) -> bool:
    """Whether the end of a path matches one of the patterns, which are separated by spaces."""
    return any(fnmatch.fnmatch(f"/{name}", f"*/{one}") for one in pattern.split())


def _members(path: Path, pattern: str, column: str) -> Iterator[str]:
    """Documents of the matching files: lines, or the column of Parquet files."""
    if path.is_file():
        with _tar(path) as archive:
            for member in _entries(archive, path):
                handle = archive.extractfile(member) if _matches(member.name, pattern) else None
                if handle is not None:
                    yield from _published(handle, member.name)
        return
    for file in map(Path, _originals(path, pattern)):
        if file.suffix == ".parquet":
            yield from read_files([file], column)
        else:
            with opened(file) as handle:
                yield from _published(handle, str(file))


def _published(handle: Any, name: str) -> Iterator[str]:
    # Lines end with "\n" alone, as for those who published the corpus.
    try:
        yield from lines(handle, name, newline="\n")
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise AttractorError(f"'{name}' cannot be read to its end: {error}") from None


def _tar(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:*")
    except (tarfile.TarError, OSError) as error:
        raise AttractorError(f"'{path}' is neither a folder nor a tar archive: {error}") from None


def _entries(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    try:
        yield from archive
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise AttractorError(f"'{path}' cannot be read to its end: {error}") from None


def _text8(path: Path) -> str:
    file = path / "text8" if path.is_dir() else path
    require_regular(file)
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                text = archive.read("text8").decode()
        else:
            text = file.read_text()
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise AttractorError(f"'{file}' is not text8: {error}") from None
    # text8 is 27 characters and nothing else, which is how a wrong file is told.
    odd = sorted(set(text) - set("abcdefghijklmnopqrstuvwxyz \n"))
    if odd or len(text) < 40:
        raise AttractorError(
            f"'{file}' is not text8: it has {len(text)} characters, among them {''.join(odd[:5])!r}"
        )
    return text.strip("\n")


def _pieces(text: str) -> Iterator[str]:
    return (text[i : i + TEXT8_PIECE] for i in range(0, len(text), TEXT8_PIECE))


def _hub(corpus: Corpus, column: str, source: str) -> TextSource:
    """Splits of a data set of the Hub: streamed, or from the copy that was downloaded before."""
    _open(corpus, corpus.train, source)  # fails now and not after an hour

    # Opened once more for each pass, so that every pass begins at the beginning.
    def stream(split: str) -> Documents:
        def documents() -> Iterator[str]:
            for number, row in enumerate(_open(corpus, split, source), start=1):
                place = f"'{source}', row {number}"
                check_column(place, column, list(row))
                yield corpus.detokenize(as_text(place, column, row[column]))

        return documents

    unseen = stream(corpus.test) if corpus.test else None
    return TextSource(stream(corpus.train), unseen, source, _commit(corpus))


def _commit(corpus: Corpus) -> str:
    """At which commit a data set is read: of the Hub, or of what was downloaded before."""
    import datasets

    revision = corpus.revision or None
    if found := commit_of(corpus.hub_id, revision, "dataset"):
        return found
    try:
        with _offline():
            cached = datasets.load_dataset_builder(
                corpus.hub_id, corpus.subset or None, revision=revision
            )
        return str(cached.hash or "")
    except Exception:  # as in `_open`
        return ""


def _open(corpus: Corpus, split: str, source: str) -> Any:
    """A split, streamed if the Hub answers, else from what was downloaded before."""
    import datasets

    settings = {"name": corpus.subset or None, "split": split, "revision": corpus.revision or None}
    closed = why_closed(corpus.hub_id, corpus.revision or None, "dataset")
    try:
        if closed is None:
            return datasets.load_dataset(corpus.hub_id, streaming=True, **settings)
        with _offline():
            return datasets.load_dataset(corpus.hub_id, streaming=False, **settings)
    # The library raises errors of its own, the client's, its HTTP library's and the system's.
    except Exception as error:
        reason = closed or first_line(error)
    by_hand = f"hf download --repo-type dataset {corpus.hub_id} --local-dir FOLDER"
    by_hand += f" --revision {corpus.revision}" if corpus.revision else ""
    other = f", or {corpus.from_web}" if corpus.from_web else ""
    put = f"{source}:FOLDER" if source in CORPORA else "FOLDER"
    raise AttractorError(
        f"the data set '{corpus.hub_id}', split '{split}', cannot be opened ({reason:.160}); where "
        f"there is a network: {by_hand}{other}; then give '{put}' as the source"
    )


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """A context in which the library is as if started with HF_HUB_OFFLINE=1: it looks into its
    cache alone."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
