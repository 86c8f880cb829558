"""The tables of measurements in README and documentation, made of the registry.

`python -m docs.tables` writes them between their markers; a test says where they are out of date.
"""

from __future__ import annotations

from pathlib import Path

from attractor.measurements import ALL
from attractor.measurements.measurement import Measurement

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "docs/measurements/", "docs/measurements/index.md": ""}
"""Files with a table, and how they refer to the pages of the measurements."""
BEGIN, END = "<!-- measurements: made by python -m docs.tables -->", "<!-- end of measurements -->"


def table(prefix: str) -> str:
    """Every measurement, with its word on the command line, its page and its question."""
    rows = [f"| {_word(m)} | {_question(m, prefix)} |" for m in ALL]
    return "\n".join(["| measurement | question |", "|---|---|", *rows])


def written(text: str, prefix: str) -> str:
    """A page with its table as it should be.

    Raises:
        ValueError: if a marker is missing.
    """
    head, _, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    return f"{head}{BEGIN}\n\n{table(prefix)}\n\n{END}{tail}"


def title(measurement: Measurement) -> str:
    """What the page of a measurement is called."""
    page = ROOT / "docs" / "measurements" / f"{measurement.page}.md"
    return page.read_text().partition("\n")[0].removeprefix("# ")


def _word(measurement: Measurement) -> str:
    return f"`{measurement.name}`" if measurement.command is None else "`attractor twins`"


def _question(measurement: Measurement, prefix: str) -> str:
    return f"[{title(measurement)}]({prefix}{measurement.page}.md): {measurement.question}"


if __name__ == "__main__":
    for name, prefix in PAGES.items():
        (ROOT / name).write_text(written((ROOT / name).read_text(), prefix))
