"""What a plan refuses: all that the runs would, as far as it is known before the text is packed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attractor.config.settings import SweepConfig
from attractor.data.dataset import COUNTS, check_text, require_same_text
from attractor.data.tokenizer import check_vocab_size
from attractor.measurements.sets import spelled_out
from attractor.runs.folder import DATA, require_same_config
from attractor.runs.monitor import require_watchable
from attractor.runs.tracking import require_tracker


def require_own(held: Path, config: object, force: bool) -> None:
    """Refuse a folder whose config, in the file `held`, is another one, unless it is replaced."""
    if held.is_file() and not force:
        require_same_config(held, config)


def require_feasible(config: SweepConfig, out: Path, force: bool) -> None:
    """Refuse what would be refused once the command is given without `--dry-run`.

    Args:
        config: of the sweep, or of one run as a sweep of one size.
        out: the folder to be written; text that is prepared in it need not be reachable any more.
        force: whether what the folder holds would be replaced.

    Raises:
        AttractorError: for text that is not there or cannot be packed like that, and settings that
            do not go together.
    """
    if force or not (out / DATA / COUNTS).is_file():
        check_text(**dataclasses.asdict(config.data))
    else:
        require_same_text(out / DATA, config.data.source, config.data.tokenizer)
    if config.data.tokenizer == "bpe":
        check_vocab_size(config.data.vocab_size)
    spelled_out(config.probe)
    require_tracker(config.monitor.track)
    counts = [int(size) for size in config.sizes if size > 1]
    if config.monitor.checks:
        rows = min([config.monitor.rows, *counts])
        require_watchable(config.monitor, rows, config.data.seq_len)
