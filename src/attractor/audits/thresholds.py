"""Where the numbers of an audit begin to speak, each written once.

Those of calibration, recombination and copies were chosen on one half of the models of
`python -m benchmarks.verdicts` and tried on the other, see docs/measurements/verdict.md. They are
ratios and shares, so they hold for every vocabulary, length, noise and size that the bench has.
"""

from __future__ import annotations

FEWEST = 30
"""Sequences without which no verdict uses a number; falls, where there are so few training rows
that all of them fall again and again. These can convict, and never acquit."""
CALM = 1.5
"""kappa of fresh text, or of recombined text, below which a model knows what it does not know."""
SURE = 3.0
"""kappa of fresh text above which a model is far surer than it may be."""
SURE_OF_RECOMBINED = 2.0
"""kappa of recombined text above which a model is far surer than it may be."""
STRANGE = 1.15
"""kappa of recombined over kappa of settled text: surely above, the model takes recombined text for
worse than its own; a store does, a language does not."""
FAMILIAR = 1.3
"""The same ratio; surely below, recombined text is hardly worse to it."""
CLOSED = 0.1
"""Recombination advantage below which own text may be cut and joined like a language."""
STORE = 0.5
"""Recombination advantage above which it cannot be cut at all, as the texts of a store."""
CHANCE = 0.001
"""Probability below which repeats, or rows beyond unseen text, are no chance."""
SOME = 0.05
"""Share of generations that may copy or repeat, beyond what unseen text does, without speaking
against generalization."""
TENTH = 0.1
"""Basin advantage below which a model generalizes."""
LEARNED = 0.1
"""Share of the entropy of single tokens that context must take away before a model counts as
trained."""
MANY = 10
"""Copies of a row that are no chance, so that fewer rows than `FEWEST` may speak."""
GAIN = 0.1
"""AUROC of a membership score beyond that of the bag of words below which rows are not
identifiable."""
FOUND = 0.05
"""Share of training rows found at a false-positive rate of `FALSE` below which they are not."""
FALSE = 0.01
"""That false-positive rate."""
TAIL = 0.001
"""Share of unseen rows beyond which a training row counts as standing out."""
