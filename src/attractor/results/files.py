"""The two files of a run: their names, how they tell what made them, and what is said where one is
damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from attractor.types import AttractorError

MADE = b"made"
"""Key under which a file tells how its content was made."""
RESULTS, TOKENS = "results.parquet", "tokens.parquet"


def told(schema: pa.Schema, made: dict[str, Any] | None) -> pa.Schema:
    """The columns of a file that tells how what it holds was made; nothing where that is None."""
    return schema if made is None else schema.with_metadata({MADE: json.dumps(made)})


def made_of(table: Path) -> dict[str, Any] | None:
    """How what one of the two files holds was made, None if it does not tell, as those of earlier
    versions.

    Raises:
        AttractorError: if it is damaged.
    """
    try:
        said = (pq.read_schema(table).metadata or {}).get(MADE)
        return None if said is None else dict(json.loads(said))
    except (OSError, pa.ArrowInvalid, ValueError, RecursionError) as error:
        raise damaged(table, error) from None


def damaged(table: Path, error: Exception) -> AttractorError:
    """What to say of a table that cannot be read, and what to do."""
    if not table.exists():
        return AttractorError(f"'{table.parent}' holds no finished run: there is no {table.name}")
    reason = str(error).strip().splitlines()[0]
    return AttractorError(
        f"'{table}' is damaged ({reason}); delete it, and the run's own command measures it again"
    )


def torn_results(folder: Path) -> Path | None:
    """The table of a run with results that is missing or cut short; None if both are whole, or
    nothing was measured.

    Only their last bytes are looked at: a table ends with its footer, without which nothing of it
    can be read.
    """
    if not (folder / RESULTS).is_file():
        return None
    files = (folder / name for name in (RESULTS, TOKENS))
    return next((file for file in files if not _has_footer(file)), None)


def _has_footer(table: Path) -> bool:
    try:
        pq.read_metadata(table)
    except (OSError, pa.ArrowInvalid):
        return False
    return True
