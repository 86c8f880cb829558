"""Checked reading of the JSON files of a sweep: every error names the file, the place and what is
allowed there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from attractor.machine.files import why_no_json
from attractor.results.estimate import Estimate
from attractor.types import AttractorError

SCHEMA = 1


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), repr(value))


def _finite(value: Any) -> bool:
    # bool is an int in Python, but `true` is no number in the file.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number may be larger than any float.
    return is_number and abs(value) <= sys.float_info.max


class Fields:
    """One JSON object and its place in the file; each getter checks the type of what it returns."""

    def __init__(self, data: Any, place: str) -> None:
        if not isinstance(data, dict):
            raise AttractorError(f"{place}: expected an object, found {_kind(data)}")
        self.data: dict[str, Any] = data
        self.place = place

    def has(self, key: str) -> bool:
        """Tell whether the key is there and not null."""
        return self.data.get(key) is not None

    def require(self, *keys: str) -> None:
        """Fail with the names of all the keys that are not there."""
        missing = [key for key in keys if key not in self.data]
        if missing:
            raise AttractorError(f"{self.place}: missing {', '.join(missing)}")

    def bad(self, key: str, allowed: str) -> AttractorError:
        """Return the error for a key whose value is not allowed."""
        return AttractorError(
            f"{self.place}.{key}: expected {allowed}, found {_kind(self.data[key])}"
        )

    def number(self, key: str) -> float:
        """Return a finite number."""
        self.require(key)
        if not _finite(self.data[key]):
            raise self.bad(key, "a finite number")
        return float(self.data[key])

    def optional(self, key: str) -> float | None:
        """Return a number, or None where it is absent, null or not finite."""
        return float(self.data[key]) if _finite(self.data.get(key)) else None

    def integer(self, key: str, least: int = 0) -> int:
        """Return a whole number of at least `least`."""
        value = self.number(key)
        if value != int(value) or value < least:
            raise self.bad(key, f"a whole number, at least {least}")
        return int(value)

    def text(self, key: str, allowed: tuple[str, ...] | None = None) -> str:
        """Return a string, one of `allowed` where that is given."""
        self.require(key)
        value = self.data[key]
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            raise self.bad(key, "a string" if allowed is None else "one of " + ", ".join(allowed))
        return value

    def interval(self, key: str) -> tuple[float, float] | None:
        """Return (lo, hi), or None where the interval is absent or null."""
        value = self.data.get(key)
        if value is None:
            return None
        if not (isinstance(value, list) and len(value) == 2 and all(_finite(end) for end in value)):
            raise self.bad(key, "[lo, hi] or null")
        return float(value[0]), float(value[1])

    def estimate(self, key: str, interval: str) -> Estimate:
        """Return a number and its interval, which may be absent."""
        return Estimate(self.number(key), *(self.interval(interval) or (None, None)))

    def objects(self, key: str) -> list[Fields]:
        """Return a list of objects, empty where the key is absent or null."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.bad(key, "a list")
        return [Fields(item, f"{self.place}.{key}[{i}]") for i, item in enumerate(value)]


def read_fields(path: Path) -> Fields:
    """Read a JSON file of this schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AttractorError(f"{path}: no such file; a finished sweep writes it") from None
    except (ValueError, RecursionError) as error:
        raise AttractorError(f"{path}: not a JSON file ({why_no_json(error)})") from None
    fields = Fields(data, path.name)
    fields.require("schema")
    if data["schema"] != SCHEMA or isinstance(data["schema"], bool):
        raise fields.bad("schema", f"{SCHEMA}")
    return fields
