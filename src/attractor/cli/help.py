"""The help of an option: the docstring under its field, as one paragraph.

tyro would read these docstrings by itself, but it keeps their line breaks. Those are the breaks of
the source, so that in a narrower terminal every sentence would break twice.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import sys
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

PACKAGE = f"{__name__.partition('.')[0]}."
OFTEN: dict[str, tuple[str, ...]] = {
    "SweepConfig": ("sizes", "seeds", "process"),
    "RunConfig": ("n_train", "seed", "process"),
    "DataConfig": ("source", "tokenizer", "seq_len"),
    "ModelConfig": ("hidden_size", "n_blocks"),
    "TrainConfig": ("steps", "batch_size", "lr"),
    "ProbeConfig": ("t", "rows", "test_rows", "steps", "measure"),
    "MonitorConfig": (),
    "SweepCommand": ("out", "preset", "workers", "force", "dry_run", "status", "adaptive"),
}
"""Settings that a short help lists; of other classes it lists all."""


def fields(short: bool) -> ConstructorRegistry:
    """Given to tyro, makes the fields of a dataclass options with this help; a short one has only
    those that are needed often."""
    registry = ConstructorRegistry()

    @registry.struct_rule
    def _options(info: StructTypeInfo) -> StructConstructorSpec | None:
        """As tyro's own rule for dataclasses, but for the help, and only for commands and configs,
        which come with an instance that holds their defaults."""
        # tyro wraps them in a generic dataclass of its own, which stays its affair.
        if not (
            dataclasses.is_dataclass(info.default) and info.type.__module__.startswith(PACKAGE)
        ):
            return None
        types = typing.get_type_hints(info.type, include_extras=True)
        specs = (
            StructFieldSpec(
                name=field.name,
                type=_unlisted(types[field.name])
                if short and is_rare(info.default, field.name)
                else types[field.name],
                default=getattr(info.default, field.name),
                # Not before somebody asks for help: reading the source takes time.
                helptext=functools.partial(_help, info.type, field.name),
            )
            for field in dataclasses.fields(info.default)
        )
        return StructConstructorSpec(instantiate=info.type, fields=tuple(specs))

    return registry


def is_rare(owner: object, field: str) -> bool:
    """Whether a short help leaves a setting out."""
    often = OFTEN.get(type(owner).__name__)
    is_setting = not dataclasses.is_dataclass(getattr(owner, field))
    return often is not None and field not in often and is_setting


def _unlisted(kind: Any) -> Any:
    return Annotated[kind, tyro.conf.Suppress]


def options(owner: Any, place: str = "") -> Iterator[tuple[str, bool]]:
    """Every option of a command as it is written, and whether a short help leaves it out."""
    for field in dataclasses.fields(owner):
        value, name = getattr(owner, field.name), field.name.replace("_", "-")
        if not dataclasses.is_dataclass(value):
            yield f"--{place}{name}", is_rare(owner, field.name)
        else:
            # The config of a command, and how it reads, are written without their names.
            bare = name in ("config", "reading")
            yield from options(value, place if bare else f"{place}{name}.")


def _help(owner: type, field: str) -> str | None:
    text = _field_docstrings(sys.modules[owner.__module__]).get((owner.__name__, field))
    return None if text is None else " ".join(text.split())


@functools.cache
def _field_docstrings(module: ModuleType) -> dict[tuple[str, str], str]:
    """The string under each annotated field of each class of a module, by class and field."""
    found = {}
    for owner in ast.parse(inspect.getsource(module)).body:
        if not isinstance(owner, ast.ClassDef):
            continue
        for field, below in itertools.pairwise(owner.body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[owner.name, name] = text
    return found
