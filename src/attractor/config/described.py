"""A config built from what a file says, with every complaint in the words of whoever reads the file
and not in Python's."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from attractor.types import AttractorError, did_you_mean

Config = TypeVar("Config")

KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (float, int)),
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    type(None): ("null", (type(None),)),
}
"""What JSON may hold for a type, in words and as Python reads it."""


def described(kind: type[Config], values: object, place: str = "") -> Config:
    """Build a config, and those inside it, of a JSON object.

    Args:
        kind: a dataclass of `config.settings`.
        values: its settings by name; those that are missing are at their default.
        place: of the object in the file, with a dot at its end.

    Raises:
        AttractorError: naming the setting, for one that is unknown, missing, of another type or out
            of range.
    """
    if not isinstance(values, dict):
        what = f"{place.rstrip('.')} = {_shown(values)}" if place else _shown(values)
        raise AttractorError(f"{what} is no JSON object")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in fields]
    if unknown:
        meant = did_you_mean(unknown[0], fields)
        raise AttractorError(f"there is no setting {place}{unknown[0]}{meant}")
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in values]
    if missing:
        raise AttractorError(f"{place}{missing[0]} is missing")
    hints = typing.get_type_hints(kind)
    return kind(
        **{name: _value(hints[name], value, f"{place}{name}") for name, value in values.items()}
    )


def _value(hint: Any, value: object, name: str) -> Any:
    """A setting as its type wants it."""
    if dataclasses.is_dataclass(hint):
        return described(typing.cast(type, hint), value, f"{name}.")
    if get_origin(hint) is tuple and isinstance(value, list):
        kinds = get_args(hint)
        each = [kinds[0]] * len(value) if kinds[1:] == (...,) else list(kinds)
        if len(each) == len(value):
            return tuple(_value(k, v, name) for k, v in zip(each, value, strict=True))
    elif _fits(hint, value):
        return value
    raise AttractorError(f"{name} = {_shown(value)} is not {_words(hint)}")


def _fits(hint: Any, value: object) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(kind, value) for kind in get_args(hint))
    # By `type` and not `isinstance`: True is an int to Python, and no number of steps.
    return hint in KINDS and type(value) in KINDS[hint][1]


def _words(hint: Any) -> str:
    """What is allowed, after "is not"."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_words, get_args(hint)))
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        count = "" if kinds[1:] == (...,) else f" of {len(kinds)}"
        return f"a list{count}, each of it {_words(kinds[0])}"
    return KINDS[hint][0]


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
