"""Corpora that papers name: where they lie on the Hub and on disk, their splits, how their
tokenization is undone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

TEXT8_TRAIN, TEXT8_TEST = 0.90, 0.95
"""Where training text ends and where unseen text begins in text8, as shares of its 100 million
characters; by custom the 5 million between them are for validation."""


class Corpus(NamedTuple):
    """One named corpus: where it is and how its text is restored."""

    hub_id: str
    """data set of the Hub, `owner/name`; empty if it is not there as plain data"""
    subset: str = ""
    """configuration of that data set; empty if it has only one"""
    revision: str = ""
    """branch, tag or commit of that data set; empty for the newest"""
    train: str = "train"
    """split of training text"""
    test: str = ""
    """split of unseen text; empty if documents are held out"""
    files: tuple[str, str] = ("", "")
    """patterns of its original files: training, unseen"""
    detokenize: Callable[[str], str] = str
    """undoes the tokenization that the corpus was published with"""
    from_web: str = ""
    """where the original files are on the web"""


LM1B_TAR = (
    "http://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz"
)
_PARQUET = "refs/convert/parquet"
_LM1B = [
    (r"http : / / ", "http://"), (r"https : / / ", "https://"), (r" '(\w+)", r"'\1"),
    (r" (\w+) \. ", r" \1. "), (r" (\w+) \.$", r" \1."),
    (r" \? ", "? "), (r" \?$", "?"), (r" ! ", "! "), (r" !$", "!"),
    (r" , ", ", "), (r" : ", ": "), (r" ; ", "; "), (r" / ", "/"),
    (r'" ([^"]+) "', r'"\1"'), (r"' ([^']+) '", r"'\1'"),
    (r"\( ([^()]+) \)", r"(\1)"), (r"\[ ([^\[\]]+) \]", r"[\1]"),
    (r"\$ ", "$"), (r"£ ", "£"),
]  # fmt: skip
"""The rules with which the code of MDLM, UDLM, Duo and the paper undoes LM1B's tokenization, in
their order."""
_WIKITEXT = [
    (r"s '", "s'"), (r"/' [0-9]/", r"/'[0-9]/"),
    (r" @-@ ", "-"), (r" @,@ ", ","), (r" @\.@ ", "."),
    (r" : ", ": "), (r" ; ", "; "), (r" \. ", ". "), (r" ! ", "! "), (r" \? ", "? "),
    (r" , ", ", "),
    (r"\(\s*([^)]*?)\s*\)", r"(\1)"), (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
    (r"{\s*([^}]*?)\s*}", r"{\1}"),
    (r'"\s*([^"]*?)\s*"', r'"\1"'), (r"'\s*([^']*?)\s*'", r"'\1'"),
    (r"= = = =", "===="), (r"= = =", "==="), (r"= =", "=="),
    (r" ° ", "°"), (r" \n", "\n"), (r"\n ", "\n"), (r" N ", " 1 "), (r" 's", "'s"),
]  # fmt: skip
"""The rules that are in use for WikiText since Megatron-LM, in their order: slips such as the
second one, whose pattern matches nothing in practice, are part of what papers trained on."""


def _rules(pairs: list[tuple[str, str]]) -> Callable[[str], str]:
    # The order matters, since later rules see what earlier ones made.
    compiled = [(re.compile(pattern), put) for pattern, put in pairs]

    def apply(text: str) -> str:
        for pattern, put in compiled:
            text = pattern.sub(put, text)
        return text

    return apply


lm1b_detokenized, wikitext_detokenized = _rules(_LM1B), _rules(_WIKITEXT)

CORPORA = {
    "lm1b": Corpus(
        "billion-word-benchmark/lm1b", revision=_PARQUET, test="test", detokenize=lm1b_detokenized,
        from_web=LM1B_TAR,
        files=("training-monolingual.tokenized.shuffled/news.en-*",
               "heldout-monolingual.tokenized.shuffled/news.en.heldout-*"),
    ),
    "openwebtext": Corpus("Skylion007/openwebtext", revision=_PARQUET),
    "wikitext": Corpus(
        "Salesforce/wikitext", subset="wikitext-103-raw-v1", test="test",
        detokenize=wikitext_detokenized,
        files=("wiki.train.*", "wiki.test.*"),
    ),
    "text8": Corpus("", from_web="http://mattmahoney.net/dc/text8.zip"),
}  # fmt: skip
