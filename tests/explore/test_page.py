"""What the page holds, whichever models it is made of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from attractor import AttractorError
from attractor.cli import main
from attractor.data.tokenizer import Tokenizer
from attractor.explore import content as contents
from attractor.explore import write_explorer
from attractor.explore.collect import Collection, of_reference
from attractor.explore.content import Content, content
from attractor.explore.falls import STEPS, fall
from attractor.explore.spelling import signs, spelling
from attractor.explore.still import standing, still
from attractor.explore.write import ENGINE, PAGE, bundle, render
from attractor.probes import recovery
from attractor.sweeps.run import sweep


def said_on(page: str) -> dict[str, Any]:
    found = re.search(r'id="content">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_the_page_loads_nothing(made: Content) -> None:
    page = render(made)
    outside = r"""(?:src|href)=["'](?!#|data:,)|@import|url\(|https?://(?!www\.w3\.org)"""
    assert not re.findall(outside, page)
    assert page.count('<script type="application/octet-stream"') == 2
    assert "half precision" in page


def test_a_text_cannot_end_the_script_that_it_stands_in(made: Content) -> None:
    evil = "</script><script>alert(1)</script><!--"
    page = render(made._replace(said=made.said | {"corpus": evil, "name": evil}))
    assert "alert(1)</script>" not in page
    assert said_on(page)["name"] == evil


def test_modules_are_joined_in_an_order_in_which_each_knows_its_own() -> None:
    joined = bundle((*ENGINE, *PAGE))
    assert not re.search(r"^(import|export)\b", joined, re.MULTILINE)
    assert "</script" not in joined
    known = {"kernel"}
    from attractor.explore.write import JS

    for module in (*ENGINE, *PAGE):
        text = (JS / f"{module}.js").read_text()
        assert set(re.findall(r'^import .* from "./(\w+)\.js";', text, re.MULTILINE)) <= known, (
            module
        )
        known.add(module)
    assert known == {path.stem for path in JS.glob("*.js")}


def test_falls_are_those_of_recovery_and_begin_and_end_as_there(collection: Collection) -> None:
    row = torch.as_tensor(collection.unseen[0]).long()
    denoiser = collection.models[32]
    watched = fall(denoiser, row, 0.5, seed=2)
    back = recovery(denoiser, row[None], 0.5, steps=STEPS, seed=2)
    assert watched.tokens[0].equal(back.corrupted[0, 0])
    assert watched.tokens[-1].equal(back.recovered[0, 0])
    assert watched.times.diff().max() <= 0
    law = denoiser.log_probs(watched.tokens[:1], watched.times[:1].float())[0]
    entropy = -(law.exp() * law).sum(-1)
    torch.testing.assert_close(watched.entropy[0].float(), entropy, atol=1e-4, rtol=0)
    assert watched.chances[0, :, 0].tolist() == pytest.approx(
        law.exp().max(-1).values.tolist(), abs=1e-5
    )


def test_models_too_large_for_a_page_bring_recordings(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "LARGEST", 1000)
    monkeypatch.setitem(contents.RECORDED, "sentences", 1)
    monkeypatch.setitem(contents.RECORDED, "shares", (30,))
    made = content(collection)
    assert not made.said["live"]
    assert not made.weights
    falls = made.said["models"][0]["falls"]
    assert set(falls) == {"train.0.30", "test.0.30", "noise"}
    page = render(made)
    assert "too large for a page" in page
    assert '<button type="button" data-kind="own"' not in page


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_signs_show_every_token(kind: str) -> None:
    train = Tokenizer.train_characters if kind == "characters" else Tokenizer.train_bpe
    texts = ["ab\n c"]
    tokenizer = train(texts) if kind == "characters" else Tokenizer.train_bpe(texts, 300)
    shown = signs(tokenizer, tokenizer.vocab_size + 1)
    assert len(shown) == tokenizer.vocab_size + 1
    assert all(shown)
    assert {shown[tokenizer.bos_id], shown[tokenizer.eos_id], shown[-1]} == {"▸", "¶", "▒"}
    assert not any("\n" in sign for sign in shown)
    told = spelling(tokenizer)
    assert told is not None
    assert told["kind"] == kind


def test_the_reference_rows_are_text_of_the_reference_tokenizer() -> None:
    found = of_reference()
    text = found.tokenizer.decode(found.stored[0].tolist())
    assert text == "ou a name, as at this day;But let all those who take refuge i"
    assert found.stored.shape == (4096, 64)
    assert found.stored.max() < 78
    seen = {row.tobytes() for row in found.stored}
    assert not any(row.tobytes() in seen for row in found.unseen)
    assert found.characters


def test_what_a_token_is_at_a_moment() -> None:
    assert [standing(*case) for case in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1))] == [
        "", "broke", "back", "off",
    ]  # fmt: skip


def test_the_still_is_a_picture(collection: Collection) -> None:
    drawn = still(collection)
    assert drawn.startswith("<svg")
    assert drawn.count('class="title"') == 4
    assert 'class="back"' in drawn


def test_bad_input_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match=r"holds no sweep"):
        write_explorer(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(AttractorError, match="has a checkpoint, so there is nothing to explore"):
        write_explorer(tmp_path)
    with pytest.raises(AttractorError, match="is a folder; name the file to write"):
        write_explorer(None, tmp_path)


def test_no_text_to_show(collection: Collection) -> None:
    import dataclasses

    none = dataclasses.replace(collection, unseen=np.zeros((0, 32), dtype=np.int64))
    with pytest.raises(AttractorError, match="no rows of training and of unseen text"):
        content(none)


@pytest.mark.slow
def test_a_trained_sweep_is_explored(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    sweep(tiny.config(tiny.corpus(tmp_path), sizes=(8, 16), steps=10), out, lambda event: None)
    assert main(["explore", str(out)]) == 0
    page = (out / "explorer.html").read_text(encoding="utf-8")
    said = said_on(page)
    assert [model["n"] for model in said["models"]] == [8, 16]
    rows = np.load(out / "data" / "train.npy")
    # Every model has seen the lines that are called training lines: those of the smallest.
    assert said["sentences"]["train"] == rows[:8].tolist()
    assert (out / "explorer.svg").is_file()
    for run in out.glob("*/checkpoint"):
        shutil.rmtree(run)
    assert main(["explore", str(out), "-o", str(tmp_path / "page.html")]) == 2
