"""Networks that attend in both directions and are not told the time, against their authors' code:
GIDD at scale, LLaDA, Dream, and decoders by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

import attractor
from attractor import AbsorbingProcess, AttractorError, UniformProcess
from attractor.model.encoder import EncoderDenoiser
from attractor.process.shifted import ShiftedProcess

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDERS = ("gidd_scaled_uniform", "gidd_scaled_mask", "llada", "dream")
MASK = {"gidd_scaled_uniform": 3, "gidd_scaled_mask": 3, "llada": 60, "dream": 60}


def golden(folder: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / folder / "expected.safetensors")


def load(folder: str | Path, **settings: Any) -> EncoderDenoiser:
    found = attractor.load(GOLDEN / folder, device="cpu", **settings)
    assert isinstance(found, EncoderDenoiser)
    return found


def changed(
    folder: str, to: Path, tensors: dict[str, Tensor] | None = None, **changes: Any
) -> Path:
    """A copy of a golden folder with other settings; None takes one out."""
    shutil.copytree(GOLDEN / folder, to)
    config = json.loads((to / "config.json").read_text()) | changes
    told = {name: value for name, value in config.items() if value is not None}
    (to / "config.json").write_text(json.dumps(told))
    if tensors is not None:
        save_file(tensors, to / "model.safetensors")
    return to


def same(found: Tensor, expected: Tensor) -> None:
    """To 1e-5, and to what float32 can hold of numbers as large as -30: in double precision these
    networks are 1.2e-5 from what their authors' code gives in single precision."""
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("folder", FOLDERS)
def test_log_probabilities_are_those_of_the_authors_code(folder: str) -> None:
    expected, denoiser, mask = golden(folder), load(folder), MASK[folder]
    tokens, times = expected["tokens"], torch.tensor([0.1, 0.5, 0.9])
    text = torch.arange(expected["log_probs"].shape[-1]) != mask
    found = denoiser.log_probs(tokens, times)
    same(found[..., text], expected["log_probs"][..., text])
    assert (found[..., mask] == -torch.inf).all()
    assert not denoiser.time_conditioned
    assert torch.equal(denoiser.log_probs(tokens, times.flip(0)), found)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_head_runs_where_it_is_asked(folder: str) -> None:
    expected, denoiser = golden(folder), load(folder)
    tokens, times = expected["tokens"], torch.zeros(3)
    where = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    whole = denoiser.log_probs(tokens, times)
    rows: list[int] = []
    head = denoiser.encoder.head
    denoiser.encoder.head = lambda hidden: rows.append(len(hidden)) or head(hidden)  # type: ignore[method-assign,func-returns-value]
    torch.testing.assert_close(denoiser.log_probs(tokens, times, where), whole[where])
    assert rows == [int(where.sum())]
    blocks = torch.cat(list(denoiser.blocks(tokens, times, where)))
    torch.testing.assert_close(blocks, whole[where])


@pytest.mark.parametrize("folder", FOLDERS[:2])
def test_one_step_of_gidd_is_our_posterior(folder: str) -> None:
    expected, denoiser = golden(folder), load(folder)
    alpha_s, alpha_t = (expected[f"log_snr_{x}"].sigmoid().expand(3) for x in "st")
    probs = denoiser.log_probs(expected["tokens"], torch.zeros(3)).exp()
    found = denoiser.process.posterior(expected["tokens"], probs, alpha_s, alpha_t)
    torch.testing.assert_close(found, expected["posterior"], rtol=0, atol=1e-6)


def test_the_noise_of_gidd_follows_from_one_number(tmp_path: Path) -> None:
    uniform, masked = load("gidd_scaled_uniform").process, load("gidd_scaled_mask").process
    assert isinstance(uniform, UniformProcess)
    assert uniform.text_ids.tolist() == [i for i in range(41) if i != 3]
    assert isinstance(masked, AbsorbingProcess)
    assert masked.mask_id == 3
    assert masked.schedule.alpha(torch.ones(1)).item() == pytest.approx(1.2339e-4, rel=1e-3)
    mixed = load(changed("gidd_scaled_mask", tmp_path / "mixed", noise_type=-2.0)).process
    assert isinstance(mixed, ShiftedProcess)
    assert (mixed.shift, mixed.mask_id) == (-2.0, 3)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 2.0])
def test_the_posterior_of_the_mixture_is_theirs_written_out(shift: float) -> None:
    """Their formula: q_s(v) q(z | v) / q_t(z), with pi the mixture at each log-SNR."""
    v, mask = 7, 3
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(2, 5, v, generator=generator, dtype=torch.float64)
    probs[..., mask] = 0
    probs /= probs.sum(-1, keepdim=True)
    z = torch.tensor([[0, 1, 2, 3, 4], [6, 5, 3, 3, 0]])
    s, t = torch.tensor(0.5, dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    a_s, a_t = s.sigmoid(), t.sigmoid()

    def pi(log_snr: Tensor) -> Tensor:
        share = (log_snr + shift).sigmoid()
        found = torch.full((v,), 1 / (v - 1), dtype=torch.float64) * share
        found[mask] = 1 - share
        return found

    arrived = (1 - a_t) * pi(t) - a_t / a_s * (1 - a_s) * pi(s)
    q_s, q_t = a_s * probs + (1 - a_s) * pi(s), a_t * probs + (1 - a_t) * pi(t)
    stays = torch.nn.functional.one_hot(z, v) * a_t / a_s
    theirs = q_s * (stays + arrived[z][..., None]) / q_t.gather(-1, z[..., None])
    ours = ShiftedProcess(v, mask_id=mask, shift=shift).posterior(
        z, probs, a_s.expand(2), a_t.expand(2)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours.sum(-1), torch.ones(2, 5, dtype=torch.float64))


def plain_gidd(p: dict[str, Tensor], c: dict[str, Any], x: Tensor) -> Tensor:
    """The network in float64 and plain loops over heads, with its settings read once more."""
    p = {name: value.double() for name, value in p.items()}
    heads, width = c["num_attention_heads"], c["hidden_size"]
    size = width // heads

    def norm(y: Tensor, name: str) -> Tensor:
        return y / (y.square().mean(-1, keepdim=True) + c["rms_norm_eps"]).sqrt() * (1 + p[name])

    def linear(y: Tensor, name: str, rule: Any = None) -> Tensor:
        w, rule = p[f"{name}.weight"], rule or c["weight_scaling"]
        scale = {"fan_in": w.shape[1] ** -0.5, "fan_out": w.shape[0] ** -0.5}.get(rule, rule)
        return y @ w.T * scale + p.get(f"{name}.bias", torch.zeros(()))

    def turn(y: Tensor) -> Tensor:
        angle = torch.outer(
            torch.arange(x.shape[1]).double(),
            c["rope_theta"] ** (-torch.arange(0, size, 2).double() / size),
        )
        left, right = y.chunk(2, -1)
        return torch.cat(
            [left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()], -1
        )

    h = p["model.embed_tokens.weight"][x]
    share = c["resid_scale"] / c["num_hidden_layers"]
    for i in range(c["num_hidden_layers"]):
        b = f"model.layers.{i}."
        y = norm(h, b + "attn_layernorm.weight")
        q, k, v = (linear(y, f"{b}self_attn.{name}_proj") for name in "qkv")
        if c["use_qk_norm"]:
            q = norm(q, b + "self_attn.q_norm.weight")
            k = norm(k, b + "self_attn.k_norm.weight")
        mixed = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            keys, values = turn(k[..., part]), v[..., part]
            if c["attention_bias"]:
                more = (p[f"{b}self_attn.{name}_bias"][head] for name in "kv")
                first = [extra.expand(len(x), 1, size) for extra in more]
                keys, values = torch.cat([first[0], keys], 1), torch.cat([first[1], values], 1)
            score = turn(q[..., part]) @ keys.transpose(1, 2) / size**0.5
            score = c["attn_soft_cap"] * (score / c["attn_soft_cap"]).tanh()
            mixed.append(score.softmax(-1) @ values)
        h = h + share * linear(torch.cat(mixed, -1), b + "self_attn.o_proj")
        y = linear(norm(h, b + "mlp_layernorm.weight"), b + "mlp.up_proj").clamp(min=0) ** 2
        h = h + share * linear(y, b + "mlp.down_proj")
    h = norm(h, "model.norm.weight")
    if c["tie_word_embeddings"]:
        return h @ p["model.embed_tokens.weight"].T
    return linear(h, "lm_head", c["head_scaling"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_scaling": "fan_out", "head_scaling": 0.5},
        {"weight_scaling": 0.25, "head_scaling": "fan_in", "resid_scale": 1.5},
        {"use_qk_norm": False, "attention_bias": False, "attn_soft_cap": 2.0},
        {"mlp_bias": True, "rope_theta": 500.0, "rms_norm_eps": 1e-3},
        {"tie_word_embeddings": True},
    ],
)
def test_every_setting_of_gidd_is_heeded(changes: dict[str, Any], tmp_path: Path) -> None:
    tensors = load_file(GOLDEN / "gidd_scaled_mask" / "model.safetensors")
    # Numbers of a size at which double and single precision agree to 1e-5.
    tensors = {name: value * (1 if "norm" in name else 0.3) for name, value in tensors.items()}
    if changes.get("mlp_bias"):
        for i in range(2):
            tensors[f"model.layers.{i}.mlp.up_proj.bias"] = torch.linspace(-1, 1, 56)
            tensors[f"model.layers.{i}.mlp.down_proj.bias"] = torch.linspace(1, -1, 24)
    unwanted = [
        name
        for name in tensors
        if (changes.get("use_qk_norm") is False and "_norm." in name and "attn." in name)
        or (changes.get("attention_bias") is False and name.endswith(("k_bias", "v_bias")))
        or (changes.get("tie_word_embeddings") and name == "lm_head.weight")
    ]
    for name in unwanted:
        del tensors[name]
    folder = changed("gidd_scaled_mask", tmp_path / "model", tensors, **changes)
    config = json.loads((folder / "config.json").read_text())
    x = golden("gidd_scaled_mask")["tokens"]
    expected = plain_gidd(tensors, config, x)
    expected[..., 3] = -torch.inf
    found = load(folder).log_probs(x, torch.zeros(3))
    same(found, expected.log_softmax(-1).float())


@pytest.mark.parametrize(
    ("folder", "changes", "message"),
    [
        ("gidd_scaled_mask", {"is_causal": True}, "says is_causal = True: only False is supported"),
        ("gidd_scaled_mask", {"block_size": 16}, "says block_size = 16, which is not understood"),
        ("gidd_scaled_mask", {"head_dim": 4}, "says head_dim = 4, but its 3 heads"),
        ("gidd_scaled_mask", {"weight_scaling": "fan"}, "'fan'"),
        ("gidd_scaled_mask", {"attn_soft_cap": 0.0}, "attn_soft_cap = 0.0 must be positive"),
        ("gidd_scaled_mask", {"hidden_size": None}, "does not tell its shape: .*hidden_size"),
        ("gidd_scaled_mask", {"rope_scaling": {"type": "linear", "factor": 2}}, "rope_parameters"),
        ("llada", {"alibi": True}, "says alibi = True: only False is supported"),
        ("llada", {"block_type": "sequential"}, "says block_type = 'sequential'"),
        ("llada", {"scale_logits": True}, "says scale_logits = True"),
        ("llada", {"mask_token_id": None}, r"does not tell mask_id: attractor.load\(..., mask_id="),
        ("llada", {"mask_token_id": 61}, "mask_id = 61 is outside the vocabulary of 61"),
        ("dream", {"use_sliding_window": True}, "says use_sliding_window = True"),
        ("dream", {"layer_types": ["sliding_attention"] * 2}, "layer_types = .'sliding_attention'"),
        ("dream", {"num_experts": 4}, "says num_experts = 4, which is not understood"),
        ("dream", {"intermediate_size": 44}, r"is float32 \(40, 24\), not plain .* \(44, 24\)"),
        (
            "dream",
            {"rope_theta": 5.0},
            r"rope_theta = 5.0 and rope_parameters.rope_theta = 1000000",
        ),
        ("dream", {"hidden_act": "shout"}, "transformers cannot make"),
        ("dream", {"model_type": None}, "names no architecture"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    folder: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(AttractorError, match=message) as caught:
        load(changed(folder, tmp_path / "model", **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "setting", "head", "body"),
    [
        ("gidd_scaled_mask", "tie_word_embeddings", "lm_head", "model.embed_tokens"),
        ("dream", "tie_word_embeddings", "lm_head", "model.embed_tokens"),
        ("llada", "weight_tying", "model.transformer.ff_out", "model.transformer.wte"),
    ],
)
def test_a_tied_output_layer_that_is_stored_is_the_embedding(
    folder: str, setting: str, head: str, body: str, tmp_path: Path
) -> None:
    """One of two that differ would be dropped without a word; a copy is read as if it were not
    there."""
    told = {setting: True}
    with pytest.raises(AttractorError, match=r"are one \(tied\), but stores 'lm_head.weight'"):
        load(changed(folder, tmp_path / "other", **told))
    tensors = load_file(GOLDEN / folder / "model.safetensors")
    twice = {**tensors, f"{head}.weight": tensors[f"{body}.weight"].clone()}
    once = {name: value for name, value in tensors.items() if name != f"{head}.weight"}
    x = golden(folder)["tokens"]
    found = [
        load(changed(folder, tmp_path / str(len(held)), held, **told)).log_probs(x, torch.zeros(3))
        for held in (twice, once)
    ]
    assert torch.equal(*found)


def test_a_stored_table_of_angles_is_that_of_the_settings(tmp_path: Path) -> None:
    tensors = load_file(GOLDEN / "dream" / "model.safetensors")
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    table = 1e6 ** -(torch.arange(0, 8, 2) / 8)
    x = golden("dream")["tokens"]
    folder = changed("dream", tmp_path / "right", {**tensors, name: table.bfloat16()})
    with_table = load(folder, dtype="float32").log_probs(x, torch.zeros(3))
    assert torch.equal(with_table, load("dream").log_probs(x, torch.zeros(3)))
    folder = changed("dream", tmp_path / "wrong", {**tensors, name: 1e4 ** -(torch.arange(4) / 4)})
    with pytest.raises(AttractorError, match=f"'{name}' in .* is not what its settings make"):
        load(folder)


def test_llada_with_tied_weights_and_biases_of_queries(tmp_path: Path) -> None:
    tensors = load_file(GOLDEN / "llada" / "model.safetensors")
    head, body = "model.transformer.ff_out.weight", "model.transformer.wte.weight"
    x = golden("llada")["tokens"]
    untied = {**tensors, head: tensors[body].clone()}
    plain = load(changed("llada", tmp_path / "untied", untied)).log_probs(x, torch.zeros(3))
    tied = {name: value for name, value in tensors.items() if name != head}
    folder = changed("llada", tmp_path / "tied", tied, weight_tying=True)
    assert torch.equal(load(folder).log_probs(x, torch.zeros(3)), plain)
    biased = dict(tensors)
    for i in range(2):
        for name in "qkv":
            biased[f"model.transformer.blocks.{i}.{name}_proj.bias"] = torch.zeros(24)
    folder = changed("llada", tmp_path / "biased", biased, include_qkv_bias=True)
    same(load(folder).log_probs(x, torch.zeros(3)), load("llada").log_probs(x, torch.zeros(3)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_soft_cap": None}, "attn_soft_cap = None: it must be a number"),
        ({"resid_scale": "4"}, "resid_scale = '4': it must be a number"),
        ({"head_scaling": [1]}, r"head_scaling = \[1\]: it must be a number"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0: it must be a number from 1 on"),
        ({"hidden_size": 24.0}, "hidden_size = 24.0: it must be a number from 1 on"),
        ({"use_qk_norm": None}, "use_qk_norm = None: it must be true or false"),
        ({"noise_type": float("nan")}, "shift = nan is outside"),
        ({"min_log_snr": -800}, r"min_log_snr = -800: it must be a number in \[-80, 80\]"),
        ({"min_log_snr": "a"}, r"min_log_snr = 'a': it must be a number"),
    ],
)
def test_settings_of_gidd_that_are_no_numbers_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Null, too: it says that there is none, and not that the default holds."""
    folder = changed("gidd_scaled_mask", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(AttractorError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["gidd_scaled_mask", "gidd_hf", "llada"])
def test_a_tokenizer_that_is_larger_than_the_network_is_refused(
    folder: str, tmp_path: Path
) -> None:
    changed(folder, tmp_path / "model")
    words = {f"w{i}": i for i in range(200)}
    Tokenizer(WordLevel(words, "w0")).save(str(tmp_path / "model" / "tokenizer.json"))
    with pytest.raises(AttractorError, match="has the id 199, and the network knows"):
        attractor.load(tmp_path / "model", device="cpu")


def test_numbers_that_a_precision_does_not_hold_are_refused(tmp_path: Path) -> None:
    tensors = load_file(GOLDEN / "gidd_scaled_mask" / "model.safetensors")
    tensors["lm_head.weight"] *= 1e6
    folder = changed("gidd_scaled_mask", tmp_path / "model", tensors)
    with pytest.raises(AttractorError, match=r"'lm_head.weight' in .* float16 does not"):
        load(folder, dtype="float16")


def test_ids_beyond_the_vocabulary_of_llada_are_no_text(tmp_path: Path) -> None:
    denoiser = load(changed("llada", tmp_path / "model", vocab_size=50, embedding_size=61))
    assert denoiser.process.text_ids.tolist() == list(range(50))


def test_a_mask_that_the_configuration_tells_is_the_mask(tmp_path: Path) -> None:
    folder = changed("gidd_scaled_uniform", tmp_path / "scaled", mask_token_id=5)
    process = load(folder).process
    assert 5 not in process.text_ids.tolist()
    assert 3 in process.text_ids.tolist()
    with pytest.raises(AttractorError, match=r"mask_id = 3 was given, but .* says 5"):
        load(folder, mask_id=3)
    first = attractor.load(changed("gidd_hf", tmp_path / "first", mask_token_id=7), device="cpu")
    assert first.process.mask_id == 7


@pytest.mark.parametrize("folder", ["llada", "dream"])
def test_padding_changes_nothing_where_the_network_is_told_of_it(folder: str) -> None:
    denoiser, x = load(folder), golden(folder)["tokens"][:, :8]
    x[x == 2] = 4
    short = denoiser.log_probs(x, torch.zeros(3))
    denoiser.pad_id = 2
    long = torch.nn.functional.pad(x, (0, 3), value=2)
    torch.testing.assert_close(denoiser.log_probs(long, torch.zeros(3))[:, :8], short)


def test_a_decoder_is_asked_for_by_name_and_never_guessed(tmp_path: Path) -> None:
    """Dream's weights as plain Qwen2 ones, which are those of a causal model to whoever looks."""
    folder = changed("dream", tmp_path / "qwen", model_type="qwen2", mask_token_id=None)
    with pytest.raises(AttractorError, match="of no family that is known"):
        load(folder)
    with pytest.raises(AttractorError, match="does not tell noise, shift, mask_id"):
        load(folder, family="decoder")
    said = {"family": "decoder", "noise": "absorbing", "shift": True, "mask_id": 60}
    x, t = golden("dream")["tokens"], torch.zeros(3)
    assert torch.equal(load(folder, **said).log_probs(x, t), load("dream").log_probs(x, t))
    # Without the shift these are the logits as they come.
    raw = golden("dream")["logits"][..., :60].log_softmax(-1)
    same(load(folder, **{**said, "shift": False}).log_probs(x, t)[..., :60], raw)
    uniform = load(folder, family="decoder", noise="uniform", shift=True).process
    assert isinstance(uniform, UniformProcess)
    for ids in ([], ["a"]):
        with pytest.raises(AttractorError, match=r"text_ids = .*: it is a list of ids"):
            load(folder, **said, text_ids=ids)
    mixed = load(folder, **{**said, "noise": "gidd"}, noise_type=1.5).process
    assert isinstance(mixed, ShiftedProcess)
    with pytest.raises(AttractorError, match="noise = 'gauss': there are absorbing, uniform, gidd"):
        load(folder, **{**said, "noise": "gauss"})


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3"])
@pytest.mark.parametrize("shift", [False, True])
def test_a_decoder_is_its_librarys_causal_model_without_the_causal_mask(
    kind: str, shift: bool, tmp_path: Path
) -> None:
    """Of random weights and another shape; the mask is given in full: zeros, that hide nothing."""
    shape = {"hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 3, "head_dim": 8}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2}
    config = getattr(transformers, f"{kind}Config")(vocab_size=37, **shape, **heads)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn(parameter.shape)
        x = torch.randint(0, 36, (3, 11))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    with torch.no_grad():
        logits = model(input_ids=x, attention_mask=torch.zeros(3, 1, 11, 11)).logits
    expected = torch.cat([logits[:, :1], logits[:, :-1]], 1) if shift else logits
    asked = {"family": "decoder", "noise": "absorbing", "mask_id": 36, "shift": shift}
    found = attractor.load(tmp_path, device="cpu", **asked).log_probs(x, torch.zeros(3))
    same(found[..., :36], expected[..., :36].log_softmax(-1))


def test_rows_longer_than_the_positions_are_refused() -> None:
    for folder, longest in (("gidd_scaled_mask", 32), ("llada", 64), ("dream", 64)):
        with pytest.raises(AttractorError, match=f"has {longest} positions"):
            load(folder).log_probs(torch.zeros(1, longest + 1, dtype=torch.long), torch.zeros(1))


def test_a_probe_runs_on_each() -> None:
    for folder in FOLDERS:
        denoiser = load(folder)
        tokens = golden(folder)["tokens"].clone()
        tokens[tokens == MASK[folder]] = 5
        found = attractor.probes.recovery(denoiser, tokens, 0.5, steps=8)
        assert 0 <= found.rate <= 1
        assert attractor.probes.conditional_entropy(denoiser, tokens).mean > 0
        # A visible token of absorbing noise is a fixed point, whatever the network says of it.
        if isinstance(denoiser.process, AbsorbingProcess):
            stays = attractor.probes.pseudo_likelihood_fixed_points(denoiser, tokens, steps=8)
            assert stays.tokens == 1
