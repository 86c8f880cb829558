"""The tables of the documentation that are made of the registry of measurements.

`python -m docs.tables` writes them between their markers; a test says where they are out of date.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attractor.measurements import ALL
from attractor.measurements.measurement import Measurement

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- measurements: made by python -m docs.tables -->", "<!-- end of measurements -->"


def measurements() -> str:
    """Every measurement, with its word on the command line, its page and its question."""
    rows = [f"| {_word(m)} | {_question(m)} |" for m in ALL]
    return "\n".join(["| measurement | question |", "|---|---|", *rows])


def numbers() -> str:
    """Every number that a measurement gives, by its name in the files."""
    rows = [
        f"| `{q.name}` | {q.unit.name} | {q.title} | [{m.name}]({m.page}.md) |"
        for m in ALL
        for q in m.quantities
    ]
    head = ["| number | unit | what it is | measurement |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def index() -> str:
    """Both, as the index of the measurements has them."""
    return f"{measurements()}\n\n## Numbers\n\n{NOTE}\n\n{numbers()}"


NOTE = (
    "These are the numbers in `results.parquet` and `measurements.json`; a unit bounds every "
    "interval of its numbers."
)
TABLES: dict[str, Callable[[], str]] = {
    "docs/measurements/index.md": index,
}
"""Files with a table, and what makes it."""


def written(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """A page with what stands between two markers as it should be.

    Raises:
        ValueError: if a marker is missing.
    """
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the page lacks {begin!r} or {end!r}")
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def title(measurement: Measurement) -> str:
    """What the page of a measurement is called."""
    page = ROOT / "docs" / "measurements" / f"{measurement.page}.md"
    return page.read_text().partition("\n")[0].removeprefix("# ")


def _word(measurement: Measurement) -> str:
    return f"`{measurement.name}`" if measurement.command is None else "`attractor twins`"


def _question(measurement: Measurement) -> str:
    return f"[{title(measurement)}]({measurement.page}.md): {measurement.question}"


if __name__ == "__main__":
    for name, table in TABLES.items():
        (ROOT / name).write_text(written((ROOT / name).read_text(), table()))
