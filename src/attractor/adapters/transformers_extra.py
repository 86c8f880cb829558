"""transformers, which is an extra: asked for when it is needed, and in one line when it fails."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import ModuleType

from attractor.types import AttractorError


def transformers() -> ModuleType:
    """The library.

    Raises:
        AttractorError: if it is not installed.
    """
    try:
        import transformers as library
    except ImportError:
        raise AttractorError("this model needs transformers: pip install 'attractor[hf]'") from None
    return library


@contextlib.contextmanager
def quietly(what: str) -> Iterator[None]:
    """Run the library without its warnings and progress, and turn whatever it raises into one line.

    Args:
        what: is made, for the message.

    Raises:
        AttractorError: for any error of the library.
    """
    logging = transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except AttractorError:
        raise
    except Exception as error:  # its settings are checked by several libraries, each with its own
        lines = str(error).splitlines() or [""]
        raise AttractorError(
            f"transformers cannot make the {what} that is asked for: {' '.join(lines):.200}"
        ) from None
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
