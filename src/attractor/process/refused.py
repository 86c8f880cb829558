"""Why something is not measured of a model, and what is instead: one sentence for everybody who
refuses, in a module that is light to import."""

from __future__ import annotations

NEEDS_NOISE = (
    "an autoregressive model has no noise to corrupt text with, and no reverse process, so basins, "
    "recovery and what else falls back from noise are not defined for it: measure likelihood, "
    "calibration, membership or prefix_extraction instead"
)

NEEDS_ORDER = (
    "it writes from left to right, as only an autoregressive model does: of a model with noise "
    "measure recovery or exact_match instead"
)
