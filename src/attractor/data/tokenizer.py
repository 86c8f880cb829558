"""Text to token ids and back: trained byte-level BPE or characters, or a tokenizer loaded from a
file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

import numpy as np
import tokenizers
from jaxtyping import Int
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from attractor.data.loss import require_all_known
from attractor.data.packing import pack
from attractor.machine.files import require_regular, why_no_json
from attractor.machine.hub import download
from attractor.machine.paths import require_not_meant_here
from attractor.types import AttractorError

__all__ = ["Tokenizer", "make_tokenizer"]

BOS, EOS, UNK = "[BOS]", "[EOS]", "[UNK]"
TRAINED_SPECIALS = [BOS, EOS, UNK]
PAD = "[PAD]"
PAD_NAMES = (PAD, "<pad>", "<|pad|>")
"""What padding is called, our own name first."""
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BOS_EOS_NAMES = [
    (BOS, EOS),
    ("<s>", "</s>"),
    ("[CLS]", "[SEP]"),
    ("<|endoftext|>", "<|endoftext|>"),
]
FILE_NAMES = ("tokenizer.json", "vocab.txt")
MARKERS = "markers.json"
"""Beside a saved tokenizer: which of its tokens are the markers, if they had to be named."""
BYTES = 256
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*|bert-base-(un)?cased|gpt2")


def check_vocab_size(vocab_size: int) -> None:
    """Raise AttractorError unless the bytes and the markers of trained BPE fit."""
    smallest = BYTES + len(TRAINED_SPECIALS)
    if vocab_size < smallest:
        raise AttractorError(
            f"vocab_size={vocab_size} is too small: byte-level BPE needs at least {smallest} "
            f"({BYTES} bytes and {len(TRAINED_SPECIALS)} special tokens)"
        )


@final
class Tokenizer:
    """A Hugging Face tokenizer with a beginning and an end token, which adds no special tokens by
    itself.

    Text that spells a special token, such as "[BOS]", is encoded as ordinary text.
    """

    def __init__(self, backend: tokenizers.Tokenizer, markers: Sequence[str] | None = None) -> None:
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self.markers = None if markers is None else tuple(markers)
        names = _markers(vocabulary, markers)
        self.bos_id, self.eos_id = (vocabulary[name] for name in names)
        self.unk_id = _unknown(backend, vocabulary)
        self.pad_id = next((vocabulary[name] for name in PAD_NAMES if name in vocabulary), None)
        self.is_bert = names == ("[CLS]", "[SEP]")
        # Not the number of tokens: ids may have gaps, and the model needs a row for the largest.
        self.vocab_size = 1 + max(vocabulary.values())
        # Text that spells a special token stays text, and what a file says of truncation and
        # padding is for somebody else's rows.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        # Of a file without a decoder, which bytes need to become text again.
        self._is_bytes = backend.decoder is None and "ByteLevel" in str(backend.pre_tokenizer)
        self._special_ids = {i for i, token in added.items() if token.special} | {
            self.bos_id,
            self.eos_id,
        }

    @classmethod
    def train_bpe(cls, documents: Iterable[str], vocab_size: int) -> Tokenizer:
        """Train byte-level BPE, which round-trips every text; a small corpus may yield fewer than
        `vocab_size` tokens.

        Raises:
            AttractorError: if the 256 bytes and the special tokens do not fit into `vocab_size`.
        """
        check_vocab_size(vocab_size)
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=TRAINED_SPECIALS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(documents, trainer)
        return cls(backend)

    @classmethod
    def train_characters(cls, documents: Iterable[str]) -> Tokenizer:
        """Make one token of each Unicode character in the documents; any other character becomes
        [UNK]."""
        characters = sorted(set().union(*documents))
        vocabulary = {token: i for i, token in enumerate([*TRAINED_SPECIALS, *characters])}
        # BPE without merges leaves single characters and needs no pre-tokenizer.
        backend = tokenizers.Tokenizer(models.BPE(vocabulary, [], unk_token=UNK, fuse_unk=False))
        backend.decoder = decoders.Fuse()
        backend.add_special_tokens(_special(TRAINED_SPECIALS))
        return cls(backend)

    @classmethod
    def load(cls, path: str | Path, markers: Sequence[str] | None = None) -> Tokenizer:
        """Load a `tokenizer.json`, a BERT `vocab.txt` (BOS is [CLS], EOS is [SEP]), or a folder
        that holds one.

        Args:
            path: the file or folder.
            markers: the tokens that stand for BOS and EOS; those that were named when the tokenizer
                was saved, or else the first known pair that it has, unless given.

        Raises:
            AttractorError: if there is no such file, it is not a tokenizer, or it has no such BOS
                and EOS.
        """
        path = Path(path)
        if path.is_dir():
            found = [path / name for name in FILE_NAMES if (path / name).is_file()]
            if not found:
                raise AttractorError(
                    f"the folder '{path}' holds neither {' nor '.join(FILE_NAMES)}"
                )
            path = found[0]
        require_regular(path)
        if not path.is_file():
            raise AttractorError(
                f"the tokenizer '{path}' does not exist; accepted: {' or '.join(FILE_NAMES)}"
            )
        backend = _wordpiece(path) if path.suffix == ".txt" else _from_json(path)
        return cls(backend, markers or _saved_markers(path.with_name(MARKERS)))

    def padded(self) -> Tokenizer:
        """The same with a token for padding, which is added at the end if there is none."""
        if self.pad_id is not None:
            return self
        backend = tokenizers.Tokenizer.from_str(self._backend.to_str())
        backend.add_special_tokens(_special([PAD]))
        return Tokenizer(backend, self.markers)

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json` into the folder, which is made if needed, and `markers.json` if
        markers were named."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._backend.save(str(folder / FILE_NAMES[0]))
        if self.markers is None:
            (folder / MARKERS).unlink(missing_ok=True)
        else:
            bos, eos = self.markers
            (folder / MARKERS).write_text(json.dumps({"bos": bos, "eos": eos}))

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are the same for the same tokenizer and markers."""
        said = self._backend.to_str() + ("" if self.markers is None else json.dumps(self.markers))
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def encode(self, documents: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each document, without special tokens.

        What the tokenizer does not know becomes its unknown token, or is dropped where it has none:
        `loss.encode_known` says how much that is, and refuses if it is too much.
        """
        return [
            encoding.ids
            for encoding in self._backend.encode_batch_fast(documents, add_special_tokens=False)
        ]

    def rows(self, texts: Sequence[str], length: int) -> Int[np.ndarray, "N L"]:
        """Texts as rows of `length` tokens, packed as training text is: see `packing.pack`.

        Raises:
            AttractorError: for text that the tokenizer does not know, which is shown, or that does
                not fill a row.
        """
        encoded = self.encode(texts)
        require_all_known(self, texts, encoded)
        return pack(encoded, length, self.bos_id, self.eos_id)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the tokens, without special tokens.

        Raises:
            AttractorError: for an id outside the vocabulary.
        """
        self._tokens(ids)  # raises for ids that the backend would silently leave out
        return self._backend.decode([i for i in ids if i not in self._special_ids])

    def said_again(self, encoded: Sequence[Sequence[int]]) -> list[str]:
        """The text of the tokens of each document; unknown tokens say nothing."""
        known = [
            [i for i in ids if i != self.unk_id] if self.unk_id in ids else ids for ids in encoded
        ]
        if not self._is_bytes:
            return self._backend.decode_batch(known)
        decoder = decoders.ByteLevel()
        return [decoder.decode(self._tokens(ids)) for ids in known]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return for each token the text to show for it, with its leading space; special tokens are
        shown by name.

        A token that is only a part of a UTF-8 character is shown as the replacement character
        U+FFFD.

        Raises:
            AttractorError: for an id outside the vocabulary.
        """
        tokens = self._tokens(ids)
        return [
            token if i in self._special_ids else self._piece(token)
            for i, token in zip(ids, tokens, strict=True)
        ]

    def _piece(self, token: str) -> str:
        decoder = self._backend.decoder
        if isinstance(decoder, decoders.ByteLevel):
            return decoder.decode([token])
        if isinstance(decoder, decoders.WordPiece):
            return token.removeprefix("##") if token.startswith("##") else " " + token
        return token.replace("▁", " ")

    def _tokens(self, ids: Sequence[int]) -> list[str]:
        tokens = []
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise AttractorError(
                    f"token id {i} is outside the vocabulary of {self.vocab_size} tokens"
                )
            tokens.append(self._backend.id_to_token(i) or f"[{i}]")
        return tokens


def make_tokenizer(
    kind: str,
    documents: Iterable[str],
    vocab_size: int,
    markers: Sequence[str] | None = None,
) -> Tokenizer:
    """Train a tokenizer on the documents ("bpe" or "char") or load it (`kind` is a path).

    Args:
        kind: "bpe", "char", a path, or the Hub id of a model.
        documents: text to train on.
        vocab_size: tokens of a "bpe" tokenizer; not used by the others.
        markers: tokens of a ready tokenizer that stand for BOS and EOS, where it has no known ones.

    Raises:
        AttractorError: if there is no such tokenizer or marker, or `vocab_size` is too small.
    """
    if markers is not None and kind in ("bpe", "char"):
        raise AttractorError(
            f"markers = {' '.join(markers)} are for a ready tokenizer; '{kind}' is trained, with "
            f"{BOS} and {EOS}"
        )
    if kind == "bpe":
        return Tokenizer.train_bpe(documents, vocab_size)
    if kind == "char":
        return Tokenizer.train_characters(documents)
    if Path(kind).exists():
        return Tokenizer.load(kind, markers)
    if not HUB_ID.fullmatch(kind):
        raise AttractorError(
            f"unknown tokenizer '{kind}': allowed are 'bpe', 'char', an existing file or a Hub id"
        )
    require_not_meant_here(kind)
    return Tokenizer.load(_from_hub(kind), markers)


def _markers(vocabulary: dict[str, int], named: Sequence[str] | None) -> tuple[str, ...]:
    """Names of BOS and EOS: those that were named, or the first known pair of the vocabulary."""
    if named is not None:
        missing = [name for name in named if name not in vocabulary]
        if missing or len(named) != 2:
            raise AttractorError(
                f"markers = {' '.join(named)}: two tokens of the tokenizer are wanted, BOS and EOS"
                + (f", and it has no {', '.join(missing)}" if missing else "")
            )
        return tuple(named)
    # Our own names before those of BERT and GPT-2.
    found = next((pair for pair in BOS_EOS_NAMES if set(pair) <= vocabulary.keys()), None)
    if found is None:
        wanted = ", ".join(" and ".join(dict.fromkeys(pair)) for pair in BOS_EOS_NAMES)
        raise AttractorError(
            "the tokenizer has no known beginning and end token (--data.markers BOS EOS names "
            f"others, for an audit --markers BOS EOS); looked for: {wanted}"
        )
    return found


def _unknown(backend: tokenizers.Tokenizer, vocabulary: dict[str, int]) -> int:
    """The id of what stands for unknown text; -1, which no token has, where nothing does.

    Byte-level tokenizers know every text, and others drop what they lack.
    """
    model = json.loads(backend.to_str())["model"]
    if model.get("unk_id") is not None:  # of a unigram model
        return int(model["unk_id"])
    names = (str(model.get("unk_token")), UNK, "<unk>")
    return next((vocabulary[name] for name in names if name in vocabulary), -1)


def _saved_markers(file: Path) -> tuple[str, str] | None:
    """The markers that were named when the tokenizer beside the file was saved."""
    if not file.is_file():
        return None
    try:
        named = json.loads(file.read_text())
        return str(named["bos"]), str(named["eos"])
    except (LookupError, TypeError):
        raise AttractorError(f"'{file}' is damaged: it does not name bos and eos") from None
    except (ValueError, RecursionError) as error:
        raise AttractorError(f"'{file}' is damaged: {why_no_json(error)}") from None


def _from_hub(hub_id: str) -> Path:
    """The tokenizer.json of a model of the Hub, from the cache where it is there."""
    try:
        return download(hub_id, FILE_NAMES[0])
    except ConnectionError as error:
        raise AttractorError(
            f"unknown tokenizer '{hub_id}': there is no such file, and the Hub does not give it "
            f"({error!s:.120}); where there is a network: hf download {hub_id} {FILE_NAMES[0]} "
            "--local-dir FOLDER; then give FOLDER"
        ) from None


def _from_json(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise AttractorError(f"'{path}' is not a tokenizer file: {error}") from error


def _wordpiece(path: Path) -> tokenizers.Tokenizer:
    try:
        vocabulary = models.WordPiece.read_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise AttractorError(f"'{path}' is not a WordPiece vocabulary: {error}") from error
    missing = [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in vocabulary]
    if missing:
        raise AttractorError(
            f"'{path}' is not a WordPiece vocabulary: it has no {', '.join(missing)}"
        )
    # The file does not say whether text is to be lower-cased; a vocabulary without capitals does.
    lowercase = all(token == token.lower() for token in vocabulary if not token.startswith("["))
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(_special(name for name in BERT_SPECIALS if name in vocabulary))
    return backend


def _special(names: Iterable[str]) -> list[str | AddedToken]:
    return [AddedToken(name, special=True, normalized=False) for name in names]
