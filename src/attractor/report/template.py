"""The frame of every page: a template filled with words and figures, in one file that opens from
disk, loads nothing and needs no network."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from attractor.report import words
from attractor.report.figures import DARK

BUNDLE = Path(__file__).parent / "vendor" / "plotly-basic.min.js.gz"
"""The part of plotly.js that draws scatter traces, the only ones that any page has."""
FILTERS = (words.approx, words.nats, words.count, words.time, words.visible, words.unbroken)


def fill(template: str, **content: Any) -> str:
    """Return the page as text; a name that the template needs and nobody gave is an error."""
    env = environment("attractor.report")
    # Text of models and corpora may hold what HTML does not allow; what is marked safe is ours.
    env.finalize = lambda value: words.printable(value) if type(value) is str else value
    env.filters |= {f.__name__: f for f in FILTERS}
    return env.get_template(template).render(swap=DARK, plotly=drawing_library(), **content)


def environment(package: str) -> Environment:
    """How the templates of a package are read."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def drawing_library() -> str:
    """The source of plotly.js that every page carries."""
    return gzip.decompress(BUNDLE.read_bytes()).decode()
