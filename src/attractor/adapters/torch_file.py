"""Files written by torch.save, both formats, read without unpickling: plain containers, and tensors
on request.

A tensor in such a file is a view of a *storage*, a run of numbers of one type that several tensors
may share: the pickle tells its key, offset, shape and strides, and the numbers lie outside of the
pickle. In the zip format each storage is an entry `data/KEY`; in the format before it storages
follow the pickles, each behind its length.

The files are other people's. So every number that is read is checked against what there is before
it is used for anything: sizes of pickles and entries, shapes against their storage, and the size of
all tensors together against the file.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from torch import Tensor

from attractor.adapters.pickle_tree import Global, Persistent, read_tree
from attractor.types import AttractorError

MAX_PICKLE = 2**25
"""Bytes of a pickle inside a checkpoint, which holds names and numbers but no weights."""
MAX_DIMENSIONS, MAX_KEY = 16, 64
"""Axes of a tensor, and characters of the key of a storage."""
MAX_SHARING = 2
"""Size of all tensors that are read, in sizes of the file: tied weights share a storage, and bombs
by the thousand."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the older format."""
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""Classes of `torch` that pickles name for a type of numbers."""


class Storage(NamedTuple):
    """Where the numbers of tensors are: an entry of the file."""

    key: str
    """name of the entry"""
    dtype: torch.dtype
    """type of its numbers"""
    numel: int
    """how many there are"""


class TensorRef(NamedTuple):
    """A tensor that has not been read: a view of a storage."""

    storage: Storage
    offset: int
    """where in the storage its first number is"""
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    """steps in the storage from one number to the next along each axis"""


class TorchFile:
    """A file of torch.save: `content` is its tree, with a `TensorRef` in the place of every tensor.

    Classes other than plain containers are placeholders. Nothing in the file can run code, import a
    module or open another file; compressed archives, which torch does not write, are refused.

    Args:
        path: a .ckpt, .pt, .pth or .bin file, in the zip format or the one before it.

    Raises:
        AttractorError: if it is neither, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_storages: dict[str, Tensor] = {}
        # Bytes of tensors that may still be read. A stride of 0 makes any size of one number, and a
        # thousand names can share one storage: a small file could ask for terabytes.
        self._left = MAX_SHARING * path.stat().st_size
        try:
            with path.open("rb") as handle:
                start = handle.read(4)
            if start == b"PK\x03\x04":
                self.content = self._open_zip()
            elif start[:1] == b"\x80":
                self.content = self._open_legacy()
            else:
                raise ValueError("it is neither a zip archive nor a pickle")
        except _PROBLEMS as error:
            raise self._problem(error) from None

    def tensor(self, ref: TensorRef) -> Tensor:
        """Read one tensor.

        Raises:
            AttractorError: if its numbers are not in the file.
        """
        try:
            storage = self._storage(ref.storage)
            self._left -= math.prod(ref.shape) * storage.itemsize
            if self._left < 0:
                raise ValueError(
                    f"its tensors are more than {MAX_SHARING} times as large as the file"
                )
            return storage.as_strided(ref.shape, ref.stride, ref.offset).clone()
        except _PROBLEMS as error:
            raise self._problem(error) from None

    def _storage(self, storage: Storage) -> Tensor:
        if storage.key not in self._read_storages:
            size = storage.numel * storage.dtype.itemsize
            in_zip = self._legacy is None
            read = self._bytes_zip if in_zip else self._bytes_legacy
            # One at a time is kept: tensors that share a storage are neighbours.
            self._read_storages = {storage.key: read(storage.key, size)}
        data = self._read_storages[storage.key]
        return data[: storage.numel * storage.dtype.itemsize].view(storage.dtype)

    def _open_zip(self) -> Any:
        self._legacy: dict[str, tuple[int, int]] | None = None
        with zipfile.ZipFile(self.path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            # A compressed entry may unpack to a thousand times its size, and of two entries of one
            # name other readers may take the other one.
            is_compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if is_compressed or len(set(names)) < len(names):
                raise ValueError("its entries are compressed or double, which torch does not write")
            if sum(entry.file_size for entry in entries) > self.path.stat().st_size:
                raise ValueError("its entries are larger than the file")
            # The pickle is NAME/data.pkl, where NAME is what the file was called when it was saved.
            found = (name for name in names if name.rpartition("/")[2] == "data.pkl")
            pickles = [name for name in found if name.count("/") <= 1]
            if len(pickles) != 1:
                raise ValueError("it is a zip archive, but torch has not written it")
            self._root = pickles[0].removesuffix("data.pkl")
            order = f"{self._root}byteorder"  # which older files do not have
            if order in names and archive.read(order) != b"little":
                raise ValueError("it was written on a big-endian machine")
            if archive.getinfo(pickles[0]).file_size > MAX_PICKLE:
                raise ValueError(f"its data.pkl is larger than {MAX_PICKLE} bytes")
            return read_tree(io.BytesIO(archive.read(pickles[0])), known_call)

    def _bytes_zip(self, key: str, size: int) -> Tensor:
        with zipfile.ZipFile(self.path) as archive:
            entry = archive.NameToInfo.get(f"{self._root}data/{key}")
            if entry is None:
                raise ValueError(f"it has no storage {key!r}")
            if entry.file_size < size:
                raise ValueError(
                    f"storage {key} has {entry.file_size} bytes where {size} are needed"
                )
            return _as_bytes(archive.read(entry))

    def _open_legacy(self) -> Any:
        """Five pickles (magic number, protocol, system, content, keys of storages), then the
        storages."""
        with self.path.open("rb") as handle:
            stream = cast(BinaryIO, _Bounded(handle, min(self.path.stat().st_size, MAX_PICKLE)))
            if read_tree(stream) != LEGACY_MAGIC or read_tree(stream) != 1001:
                raise ValueError("it is a pickle, but torch has not written it")
            system = read_tree(stream)
            if not isinstance(system, dict) or system.get("little_endian") is not True:
                raise ValueError("it was written on a big-endian machine")
            seen: dict[str, Storage] = {}
            content = read_tree(stream, lambda name, args: known_call(name, args, seen))
            keys = read_tree(stream)
            if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
                raise ValueError("its list of storages is damaged")
            # Only tensors of the content tell the type, and so the size, of a storage; how many
            # numbers it has is said before it.
            self._legacy = {}
            for key in keys:
                count = int.from_bytes(handle.read(8), "little", signed=True)
                size = count * seen[key].dtype.itemsize if key in seen else -1
                if not 0 <= size <= self.path.stat().st_size - handle.tell():
                    raise ValueError("a storage is cut off")
                self._legacy[key] = (handle.tell(), size)
                handle.seek(size, io.SEEK_CUR)
            return content

    def _bytes_legacy(self, key: str, size: int) -> Tensor:
        assert self._legacy is not None
        start, length = self._legacy.get(key, (0, -1))
        if length < size:
            raise ValueError(f"storage {key} has {length} bytes where {size} are needed")
        with self.path.open("rb") as handle:
            handle.seek(start)
            return _as_bytes(handle.read(size))

    def _problem(self, error: Exception) -> AttractorError:
        speaks = isinstance(error, ValueError | OSError | RuntimeError)
        what = str(error) if speaks else type(error).__name__
        return AttractorError(
            f"'{self.path}' cannot be read as a checkpoint: {what.splitlines()[0]:.200}"
        )


_PROBLEMS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    RecursionError,
    zipfile.BadZipFile,
)
"""What reading a damaged or hostile file may raise."""


def known_call(name: Global, args: Any, seen: dict[str, Storage] | None = None) -> Any:
    """Tensors and plain containers; NotImplemented for everything else. `seen` collects the
    storages."""
    match str(name):
        case "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor":
            return _tensor_ref(args, seen)
        case "torch._utils._rebuild_parameter":
            return args[0]
        case "collections.OrderedDict" | "collections.defaultdict":
            return {}
        case "torch.Size":
            return args[0]
    return NotImplemented


def _tensor_ref(args: Any, seen: dict[str, Storage] | None) -> TensorRef:
    storage = _storage_of(args[0])
    offset, shape, stride = args[1:4]
    fits = len(shape) == len(stride) <= MAX_DIMENSIONS
    if not fits or not all(_is_count(n) for n in (offset, *shape, *stride)):
        raise ValueError("a tensor has no proper shape")
    # The place of the last number. An empty tensor has none, and reaches nowhere.
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if math.prod(shape) > storage.numel or (math.prod(shape) and last >= storage.numel):
        raise ValueError(
            f"a tensor of shape {tuple(shape)} reaches beyond its storage of {storage.numel} "
            "numbers"
        )
    if seen is not None and seen.setdefault(storage.key, storage) != storage:
        raise ValueError(f"storage {storage.key} is described in two ways")
    return TensorRef(storage, offset, tuple(shape), tuple(stride))


def _storage_of(reference: Any) -> Storage:
    if not isinstance(reference, Persistent):
        raise ValueError("a tensor has no storage")
    # ("storage", class, key, device, numel), and in old files a view of another storage behind it.
    _, kind, key, _, numel, *view = reference.id
    dtype = DTYPES.get(kind.name) if isinstance(kind, Global) and kind.module == "torch" else None
    if dtype is None or any(part is not None for part in view):
        raise ValueError(
            f"a storage of kind {kind if isinstance(kind, Global) else '?'} is not supported"
        )
    if not isinstance(key, str) or len(key) > MAX_KEY or not _is_count(numel):
        raise ValueError("a storage is damaged")
    return Storage(key, dtype, numel)


def _is_count(number: Any) -> bool:
    # Python's integers have no end, torch's have; True is one of Python's.
    return type(number) is int and 0 <= number < 2**63


def _as_bytes(data: bytes) -> Tensor:
    if not data:  # which `frombuffer` refuses
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


class _Bounded:
    """A file that never tries to read more than there is, whatever length it is asked for.

    A damaged pickle may announce a text of 2^60 bytes, for which Python would first make room.
    """

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self.handle, self.size = handle, size

    def read(self, n: int = -1) -> bytes:
        left = self.size - self.handle.tell()
        return self.handle.read(left if n < 0 else min(n, left))

    def readline(self) -> bytes:
        return self.handle.readline(MAX_PICKLE)

    def tell(self) -> int:
        return self.handle.tell()
