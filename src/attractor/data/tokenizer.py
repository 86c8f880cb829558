"""Text to token ids and back: trained byte-level BPE or characters, or a tokenizer loaded from a
file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from attractor.machine.hub import download
from attractor.machine.paths import require_not_meant_here
from attractor.types import AttractorError

__all__ = ["Tokenizer", "make_tokenizer"]

BOS, EOS, UNK = "[BOS]", "[EOS]", "[UNK]"
TRAINED_SPECIALS = [BOS, EOS, UNK]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BOS_EOS_NAMES = [
    (BOS, EOS),
    ("<s>", "</s>"),
    ("[CLS]", "[SEP]"),
    ("<|endoftext|>", "<|endoftext|>"),
]
FILE_NAMES = ("tokenizer.json", "vocab.txt")
BYTES = 256
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*|bert-base-(un)?cased|gpt2")


@final
class Tokenizer:
    """A Hugging Face tokenizer with a beginning and an end token, which adds no special tokens by
    itself.

    Text that spells a special token, such as "[BOS]", is encoded as ordinary text.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        # The first pair that the vocabulary has: our own names before those of BERT and GPT-2.
        vocabulary = backend.get_vocab(with_added_tokens=True)
        names = next((pair for pair in BOS_EOS_NAMES if set(pair) <= vocabulary.keys()), None)
        if names is None:
            wanted = ", ".join(" and ".join(dict.fromkeys(pair)) for pair in BOS_EOS_NAMES)
            raise AttractorError(
                f"the tokenizer has no beginning and end token; looked for: {wanted}"
            )
        self.bos_id, self.eos_id = (vocabulary[name] for name in names)
        # -1, which no token has, where there is none: byte-level tokenizers know every text.
        self.unk_id = vocabulary.get(UNK, vocabulary.get("<unk>", -1))
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
        smallest = BYTES + len(TRAINED_SPECIALS)
        if vocab_size < smallest:
            raise AttractorError(
                f"vocab_size={vocab_size} is too small: byte-level BPE needs at least {smallest} "
                f"({BYTES} bytes and {len(TRAINED_SPECIALS)} special tokens)"
            )
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
    def load(cls, path: str | Path) -> Tokenizer:
        """Load a `tokenizer.json`, a BERT `vocab.txt` (BOS is [CLS], EOS is [SEP]), or a folder
        that holds one.

        Raises:
            AttractorError: if there is no such file, it is not a tokenizer, or it has no known BOS
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
        if not path.is_file():
            raise AttractorError(
                f"the tokenizer '{path}' does not exist; accepted: {' or '.join(FILE_NAMES)}"
            )
        return cls(_wordpiece(path) if path.suffix == ".txt" else _from_json(path))

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json` into the folder, which is made if needed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._backend.save(str(folder / FILE_NAMES[0]))

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are the same for the same tokenizer."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()[:12]

    def encode(self, documents: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each document, without special tokens."""
        return [
            encoding.ids
            for encoding in self._backend.encode_batch_fast(documents, add_special_tokens=False)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the tokens, without special tokens.

        Raises:
            AttractorError: for an id outside the vocabulary.
        """
        self._tokens(ids)  # raises for ids that the backend would silently leave out
        return self._backend.decode([i for i in ids if i not in self._special_ids])

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


def make_tokenizer(kind: str, documents: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a tokenizer on the documents ("bpe" or "char") or load it (`kind` is a path).

    Args:
        kind: "bpe", "char", a path, or the Hub id of a model.
        documents: text to train on.
        vocab_size: tokens of a "bpe" tokenizer; not used by the others.

    Raises:
        AttractorError: if there is no such tokenizer, or `vocab_size` is too small.
    """
    if kind == "bpe":
        return Tokenizer.train_bpe(documents, vocab_size)
    if kind == "char":
        return Tokenizer.train_characters(documents)
    if Path(kind).exists():
        return Tokenizer.load(kind)
    if not HUB_ID.fullmatch(kind):
        raise AttractorError(
            f"unknown tokenizer '{kind}': allowed are 'bpe', 'char', an existing file or a Hub id"
        )
    require_not_meant_here(kind)
    return Tokenizer.load(_from_hub(kind))


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
