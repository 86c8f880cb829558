"""The explorer: one page on which anyone can let sentences fall into the basins of trained
models."""

from __future__ import annotations

from attractor.explore.write import write_explorer

__all__ = ["write_explorer"]
