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
from types import ModuleType

from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

PACKAGE = f"{__name__.partition('.')[0]}."
FIELDS = ConstructorRegistry()
"""Given to tyro, makes the fields of a dataclass options with this help."""


@FIELDS.struct_rule
def _options(info: StructTypeInfo) -> StructConstructorSpec | None:
    """As tyro's own rule for dataclasses, but for the help, and only for commands and configs,
    which come with an instance that holds their defaults."""
    # tyro wraps them in a generic dataclass of its own, which stays its affair.
    if not (dataclasses.is_dataclass(info.default) and info.type.__module__.startswith(PACKAGE)):
        return None
    types = typing.get_type_hints(info.type, include_extras=True)
    fields = (
        StructFieldSpec(
            name=field.name,
            type=types[field.name],
            default=getattr(info.default, field.name),
            # Not before somebody asks for help: reading the source takes time.
            helptext=functools.partial(_help, info.type, field.name),
        )
        for field in dataclasses.fields(info.default)
    )
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


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
