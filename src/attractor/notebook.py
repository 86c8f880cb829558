"""What a notebook shows in place of raw tensors: small tables and coloured tokens, as HTML.

Colours are translucent, so that they can be read on a light and on a dark page; every style stands
at its element, since notebooks drop style sheets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

OUTCOMES = {
    "recovered": ("returned", "rgba(0,114,178,0.28)"),
    "failed": ("did not return", "rgba(213,94,0,0.32)"),
    "unstable": ("broken: was right", "rgba(204,121,167,0.38)"),
}
"""What a person calls what became of a token, and its colour; what stayed as it was has none."""
CELL = "padding:0.1em 0.9em 0.1em 0;text-align:left;vertical-align:baseline"
MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap"


def facts_html(title: str, facts: Mapping[str, str]) -> str:
    """A title and what is known under it, a line each."""
    return table_html(title, (), facts.items())


def table_html(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """A table under a title, with sentences below it."""
    said = "".join(f"<p style='margin:0.3em 0'>{escape(note)}</p>" for note in notes)
    heads = "".join(f"<th style='{CELL}'>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td style='{CELL}'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    top = f"<thead><tr>{heads}</tr></thead>" if head else ""
    return (
        f"<div><strong>{escape(title)}</strong>"
        f"<table style='margin:0.3em 0'>{top}<tbody>{lines}</tbody></table>{said}</div>"
    )


def passages_html(
    title: str, passages: Iterable[Sequence[tuple[str, Sequence[tuple[str, str]]]]]
) -> str:
    """Passages of coloured tokens.

    Args:
        title: above them.
        passages: each is lines: a name, and its tokens, each with what became of it.
    """
    key = ", ".join(_token(name, kind) for kind, (name, _) in OUTCOMES.items())
    body = "".join(
        "<table style='margin:0.5em 0'>"
        + "".join(
            f"<tr><td style='{CELL};opacity:0.7'>{escape(name)}</td>"
            f"<td style='{CELL};{MONO}'>{''.join(_token(*token) for token in tokens)}</td></tr>"
            for name, tokens in lines
        )
        + "</table>"
        for lines in passages
    )
    return f"<div><strong>{escape(title)}</strong><div>{key}</div>{body}</div>"


def _token(piece: str, kind: str) -> str:
    text = escape(printable(piece))
    if kind not in OUTCOMES:
        return text
    name, colour = OUTCOMES[kind]
    return f"<span style='background:{colour};border-radius:3px' title='{name}'>{text}</span>"


def printable(text: str) -> str:
    """Text without what would move a cursor or colour a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
