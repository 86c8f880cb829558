"""What a plan refuses: all that the runs would. Text that is read at once is packed for that, in a
folder that goes again; text that is streamed is opened, and not counted."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attractor.config.settings import SweepConfig
from attractor.data.dataset import Dataset, is_streamed, open_dataset, require_same_text
from attractor.data.subsets import COUNTS
from attractor.data.tokenizer import check_vocab_size
from attractor.measurements.sets import asked_of
from attractor.runs.folder import DATA, prepare, require_same_config
from attractor.runs.monitor import require_watchable
from attractor.runs.tracking import require_tracker


def require_own(held: Path, config: object, force: bool) -> None:
    """Refuse a folder whose config, in the file `held`, is another one, unless it is replaced."""
    if held.is_file() and not force:
        require_same_config(held, config)


def require_feasible(config: SweepConfig, out: Path, force: bool) -> None:
    """Refuse what would be refused without a look at the text once the command is given without
    `--dry-run`; `text_for` looks at it.

    Args:
        config: of the sweep, or of one run as a sweep of one size.
        out: the folder to be written; text that is prepared in it need not be reachable any more.
        force: whether what the folder holds would be replaced.

    Raises:
        AttractorError: for text that has changed, and settings that do not go together.
    """
    if not force and (out / DATA / COUNTS).is_file():
        require_same_text(out / DATA, config.data.source, config.data.tokenizer)
    if config.data.tokenizer == "bpe":
        check_vocab_size(config.data.vocab_size)
    asked_of(config)
    require_tracker(config.monitor.track)
    counts = [int(size) for size in config.sizes if size > 1]
    if config.monitor.checks:
        rows = min([config.monitor.rows, *counts])
        require_watchable(config.monitor, rows, config.data.seq_len)


@contextlib.contextmanager
def text_for(config: SweepConfig, out: Path, force: bool) -> Iterator[Dataset | None]:
    """The text that a sweep in `out` would have, while a block looks at it; None where it is
    streamed and nothing of it is packed yet.

    Raises:
        AttractorError: as the sweep.
    """
    if (out / DATA / COUNTS).is_file() and not force:
        yield open_dataset(out / DATA)
    elif is_streamed(config.data):
        yield None
    else:
        with tempfile.TemporaryDirectory() as place:
            yield prepare(config.data, Path(place) / DATA, orders=config.orders)
