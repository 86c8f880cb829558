from __future__ import annotations

from attractor.cli.terminal import plain_warning


def test_own_warnings_are_one_line_and_those_of_others_keep_their_place() -> None:
    assert plain_warning("two files skipped", UserWarning, "x.py", 7) == (
        "attractor: two files skipped\n"
    )
    said = plain_warning("gone soon", DeprecationWarning, "x.py", 7)
    assert said.startswith("x.py:7: DeprecationWarning: gone soon")
