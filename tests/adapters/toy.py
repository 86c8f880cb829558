"""Toy checkpoints in the layouts that other people publish, and what they must give, by a forward
pass written apart.

Names, shapes and settings are those of the published checkpoints; the numbers are random.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

V, H, C, BLOCKS, HEADS, L = 23, 16, 8, 2, 2, 12
BASE = {
    "vocab_size": V, "model_length": L, "hidden_dim": H, "cond_dim": C, "n_blocks": BLOCKS,
    "n_heads": HEADS,
    "dropout": 0.1,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "duo": {
        **BASE,
        "model_type": "duo",
        "architectures": ["DUO"],
        "causal": False,
        "var_min": True,
    },
    "udlm": {
        **BASE,
        "model_type": "udlm",
        "architectures": ["UDLM"],
        "time_conditioning": True,
        "cfg": False,
    },
    "mdlm": {**BASE, "model_type": "mdlm", "architectures": ["MDLM"], "time_conditioning": False},
}


def names() -> dict[str, tuple[int, ...]]:
    """Every parameter of the published DDiT and its shape, in order."""
    block = {
        "norm1.weight": (H,), "attn_qkv.weight": (3 * H, H), "attn_out.weight": (H, H),
        "norm2.weight": (H,),
        "mlp.0.weight": (4 * H, H), "mlp.0.bias": (4 * H,), "mlp.2.weight": (H, 4 * H),
        "mlp.2.bias": (H,),
        "adaLN_modulation.weight": (6 * H, C), "adaLN_modulation.bias": (6 * H,),
    }  # fmt: skip
    return {
        "vocab_embed.embedding": (V, H),
        "sigma_map.mlp.0.weight": (C, 256), "sigma_map.mlp.0.bias": (C,),
        "sigma_map.mlp.2.weight": (C, C), "sigma_map.mlp.2.bias": (C,),
        "rotary_emb.inv_freq": (H // HEADS // 2,),
        **{f"blocks.{i}.{name}": shape for i in range(BLOCKS) for name, shape in block.items()},
        "output_layer.norm_final.weight": (H,),
        "output_layer.linear.weight": (V, H), "output_layer.linear.bias": (V,),
        "output_layer.adaLN_modulation.weight": (2 * H, C),
        "output_layer.adaLN_modulation.bias": (2 * H,),
    }  # fmt: skip


def weights(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in names().items()}
    made["rotary_emb.inv_freq"] = 1 / 10_000 ** (torch.arange(0, H // HEADS, 2) / (H // HEADS))
    return made


def hub_folder(folder: Path, kind: str, seed: int = 0, **changes: Any) -> dict[str, Tensor]:
    """Write config.json and model.safetensors; the weights without their prefix come back."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = weights(seed)
    (folder / "config.json").write_text(json.dumps({**CONFIGS[kind], **changes}))
    save_file(
        {f"backbone.{name}": value for name, value in tensors.items()}, folder / "model.safetensors"
    )
    return tensors


def logits(p: dict[str, Tensor], x_t: Tensor, sigma: Tensor) -> Tensor:
    """The published forward pass in plain operations, float64."""
    p = {name: value.double() for name, value in p.items()}
    frequency = torch.exp(-math.log(10_000) * torch.arange(128, dtype=torch.float64) / 128)
    angle = sigma.double()[:, None] * frequency
    c = F.linear(
        torch.cat([angle.cos(), angle.sin()], -1),
        p["sigma_map.mlp.0.weight"],
        p["sigma_map.mlp.0.bias"],
    )
    c = F.silu(F.linear(F.silu(c), p["sigma_map.mlp.2.weight"], p["sigma_map.mlp.2.bias"]))
    x = p["vocab_embed.embedding"][x_t]
    turn = torch.outer(torch.arange(x_t.shape[1], dtype=torch.float64), p["rotary_emb.inv_freq"])
    cos, sin = (torch.cat([f(turn), f(turn)], -1)[:, None] for f in (torch.cos, torch.sin))

    def rotate(y: Tensor) -> Tensor:
        left, right = y.chunk(2, -1)
        return y * cos + torch.cat([-right, left], -1) * sin

    def norm(y: Tensor, name: str) -> Tensor:
        return F.layer_norm(y, (H,)) * p[name]

    for i in range(BLOCKS):
        b = f"blocks.{i}."
        m = F.linear(c, p[b + "adaLN_modulation.weight"], p[b + "adaLN_modulation.bias"])[
            :, None
        ].chunk(6, -1)
        y = F.linear(norm(x, b + "norm1.weight") * (1 + m[1]) + m[0], p[b + "attn_qkv.weight"])
        q, k, v = y.view(*x_t.shape, 3, HEADS, H // HEADS).unbind(2)
        score = torch.einsum("blhd,bmhd->bhlm", rotate(q), rotate(k)) / math.sqrt(H // HEADS)
        y = torch.einsum("bhlm,bmhd->blhd", score.softmax(-1), v).flatten(2)
        x = x + m[2] * F.linear(y, p[b + "attn_out.weight"])
        y = F.linear(
            norm(x, b + "norm2.weight") * (1 + m[4]) + m[3],
            p[b + "mlp.0.weight"],
            p[b + "mlp.0.bias"],
        )
        x = x + m[5] * F.linear(
            F.gelu(y, approximate="tanh"), p[b + "mlp.2.weight"], p[b + "mlp.2.bias"]
        )
    shift, scale = F.linear(
        c, p["output_layer.adaLN_modulation.weight"], p["output_layer.adaLN_modulation.bias"]
    )[:, None].chunk(2, -1)
    x = norm(x, "output_layer.norm_final.weight") * (1 + scale) + shift
    return F.linear(x, p["output_layer.linear.weight"], p["output_layer.linear.bias"])


def tokens(rows: int = 3) -> Tensor:
    return torch.randint(V - 1, (rows, L), generator=torch.Generator().manual_seed(1))
