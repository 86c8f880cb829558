"""What a pickle describes, as an inert tree: nothing is called, imported or opened, whatever the
pickle asks for.

A pickle is a program for a small stack machine. Python's own machine looks classes and functions up
by name and calls them, which is how a pickle runs whatever code its author wants. The machine here
knows containers, numbers and text; a class or a function is only ever its name, and a call of one a
`Placeholder` that holds the arguments. So there is no list of what is forbidden that could have a
gap: what is not built here is inert.

Bytes are cut into instructions by the standard library's `pickletools.genops`, which executes none
of them. Names of instructions below are those of `pickletools`.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

MAX_STEPS = 2**22
"""Instructions of a pickle: a checkpoint with a tokenizer in it has a tenth of them, and each may
make an object."""
_MARK = object()
"""On the stack, where a container of unknown length begins; no value of a pickle can be it."""


class Global(NamedTuple):
    """The name of a class or function; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False, slots=True)
class Placeholder:
    """What stands for an object that is neither a plain container nor a tensor."""

    kind: Any
    """the `Global` that was called, as a rule"""
    args: Any = ()
    state: Any = None
    """what the object was to be filled with"""


class Persistent(NamedTuple):
    """A reference to something outside the pickle, such as the storage of a tensor."""

    id: Any


Call = Callable[[Global, Any], Any]
"""Builds what it knows from a name and arguments, and returns NotImplemented for all else."""


def read_tree(stream: BinaryIO, call: Call = lambda name, args: NotImplemented) -> Any:
    """The tree that one pickle describes; the stream is left behind it.

    Args:
        stream: the pickle, any protocol.
        call: builds calls that are known to be harmless.

    Raises:
        ValueError: if this is no pickle, or a damaged one.
    """
    machine = _Machine(call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in the text of old protocols
            for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if opcode.name == "STOP":
                    return machine.pop()
                # Few bytes can ask for much: without a limit, a small file would fill the memory.
                if step == MAX_STEPS:
                    raise ValueError(f"it has more than {MAX_STEPS} instructions")
                machine.step(opcode.name, argument)
    # What a machine that trusts its program runs into when the program is wrong.
    except (IndexError, KeyError, TypeError, UnicodeError, OverflowError, AttributeError) as error:
        raise ValueError(f"it is damaged: {type(error).__name__} at byte {stream.tell()}") from None
    raise ValueError("it ends early")


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self, call: Call) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.call = call

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction, by the name that `pickletools` gives it."""
        if name in _PUSH:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"its {name} instruction is not supported")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("it is damaged: a mark where a value is needed")
        return value

    def top(self) -> Any:
        if self.stack[-1] is _MARK:
            raise ValueError("it is damaged: a mark where a value is needed")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """Values after the last mark, taken from the stack with it."""
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("it is damaged: a mark is missing")
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Placeholder):
            raise ValueError("it is damaged: values for something that is no list")

    def update(self, flat: list[Any]) -> None:
        """Set items; keys that are neither text nor numbers are of no use here and dropped with
        their values."""
        target = self.top()
        if isinstance(target, Placeholder):
            return
        if not isinstance(target, dict) or len(flat) % 2:
            raise ValueError("it is damaged: items for something that is no dictionary")
        # Anything else may not be hashable, or be made to collide; names of tensors are text.
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if isinstance(key, str | int | float | bytes | Global | None):
                target[key] = value

    def reduce(self, kind: Any, args: Any) -> None:
        # Where Python would call `kind`. What `call` knows is built, all else is kept as it was
        # said.
        built = self.call(kind, args) if isinstance(kind, Global) else NotImplemented
        self.stack.append(Placeholder(kind, args) if built is NotImplemented else built)

    def build(self, state: Any) -> None:
        # Where Python would set the object's attributes, or let it set them itself.
        if isinstance(target := self.top(), Placeholder):
            target.state = state

    def named(self, name: Any, module: Any) -> None:
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("it is damaged: a class without a name")
        self.stack.append(Global(module, name))

    def dictionary(self, flat: list[Any]) -> None:
        self.stack.append({})
        self.update(flat)

    def object_of(self, values: list[Any]) -> None:
        self.reduce(values[0], tuple(values[1:]))

    def tuple_of(self, length: int) -> None:
        values = [self.pop() for _ in range(length)]
        self.stack.append(tuple(reversed(values)))

    def reduce_top(self) -> None:
        args, kind = self.pop(), self.pop()
        self.reduce(kind, args)

    def new_ex(self) -> None:
        keywords, args, kind = self.pop(), self.pop(), self.pop()
        self.reduce(kind, (args, keywords))


# Instructions whose argument is the value itself.
_PUSH = frozenset(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING
    SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES
    BINBYTES8 BYTEARRAY8
    """.split()  # noqa: SIM905
)
# Instructions that push the same each time. Sets become lists, for their elements may not be
# hashable here.
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
# All others, with the machine and their argument. Those of extension registries and of buffers
# outside of the pickle are missing on purpose, and refused like any that is unknown.
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m.since_mark(),
    "DUP": lambda m, a: m.stack.append(m.top()),
    "LIST": lambda m, a: m.stack.append(m.since_mark()),
    "FROZENSET": lambda m, a: m.stack.append(m.since_mark()),
    "TUPLE": lambda m, a: m.stack.append(tuple(m.since_mark())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "DICT": lambda m, a: m.dictionary(m.since_mark()),
    "APPEND": lambda m, a: m.extend([m.pop()]),
    "APPENDS": lambda m, a: m.extend(m.since_mark()),
    "ADDITEMS": lambda m, a: m.extend(m.since_mark()),
    "SETITEM": lambda m, a: m.update([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, a: m.update(m.since_mark()),
    "PUT": lambda m, a: m.memo.__setitem__(a, m.top()),
    "BINPUT": lambda m, a: m.memo.__setitem__(a, m.top()),
    "LONG_BINPUT": lambda m, a: m.memo.__setitem__(a, m.top()),
    "MEMOIZE": lambda m, a: m.memo.__setitem__(len(m.memo), m.top()),
    "GET": lambda m, a: m.stack.append(m.memo[a]),
    "BINGET": lambda m, a: m.stack.append(m.memo[a]),
    "LONG_BINGET": lambda m, a: m.stack.append(m.memo[a]),
    "GLOBAL": lambda m, a: m.named(*reversed(a.split(" ", 1))),
    "STACK_GLOBAL": lambda m, a: m.named(m.pop(), m.pop()),
    "INST": lambda m, a: m.reduce(Global(*a.split(" ", 1)), tuple(m.since_mark())),
    "OBJ": lambda m, a: m.object_of(m.since_mark()),
    "REDUCE": lambda m, a: m.reduce_top(),
    "NEWOBJ": lambda m, a: m.reduce_top(),
    "NEWOBJ_EX": lambda m, a: m.new_ex(),
    "BUILD": lambda m, a: m.build(m.pop()),
    "PERSID": lambda m, a: m.stack.append(Persistent(a)),
    "BINPERSID": lambda m, a: m.stack.append(Persistent(m.pop())),
}
