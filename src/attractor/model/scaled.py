"""The transformer of GIDD at scale (arXiv:2512.10858): bidirectional, and not told the time.

Its weights have about unit size and are scaled where they are used, attention scores are
soft-capped, each head attends to one more key and value that are learned, the MLP has squared
rectifiers, and what a block adds is scaled by the depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attractor.types import AttractorError

Scale = float | str
"""Of a weight matrix: a number, or "fan_in", "fan_out": 1 / sqrt of the numbers that go in, come
out."""


@dataclass(frozen=True, kw_only=True)
class ScaledShape:
    """What a `ScaledTransformer` is made of; names are those of the layout's configuration.

    Raises:
        AttractorError: for numbers that make no network.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    attn_soft_cap: float = 30.0
    resid_scale: float = 4.0
    rms_norm_eps: float = 1e-6
    weight_scaling: Scale = "fan_in"
    head_scaling: Scale = 1.0
    use_qk_norm: bool = True
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_attention_heads):
            raise AttractorError(
                f"num_attention_heads = {self.num_attention_heads}: a width of {self.hidden_size} "
                "must be a multiple of twice that"
            )
        if not self.attn_soft_cap > 0:
            raise AttractorError(f"attn_soft_cap = {self.attn_soft_cap} must be positive")


class ScaledTransformer(nn.Module):
    """The network; its parameters carry the names of the published weights."""

    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = _Body(shape)
        if not shape.tie_word_embeddings:
            self.lm_head = ScaledLinear(
                shape.hidden_size, shape.vocab_size, shape.head_scaling, bias=False
            )

    def hidden(
        self, x: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L H"]:
        """What goes into the output layer; positions outside `keep` are attended by none.

        Raises:
            AttractorError: for rows longer than the network has positions.
        """
        return self.model(x, keep)

    def head(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Logits; tied ones are not scaled."""
        if self.shape.tie_word_embeddings:
            return hidden @ self.model.embed_tokens.weight.T
        return self.lm_head(hidden)


class _Body(nn.Module):
    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = _Norm(shape)

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        longest = self.shape.max_position_embeddings
        if x.shape[1] > longest:
            raise AttractorError(
                f"rows have {x.shape[1]} tokens, but the network has {longest} positions"
            )
        half = self.shape.hidden_size // self.shape.num_attention_heads // 2
        turn = _turns(x.shape[1], half, self.shape.rope_theta, x.device)
        if keep is not None and self.shape.attention_bias:  # the learned key is never padding
            keep = torch.cat([keep.new_ones(len(keep), 1), keep], 1)
        hidden = self.embed_tokens(x)
        for layer in self.layers:
            hidden = layer(hidden, turn, keep)
        return self.norm(hidden)


class _Layer(nn.Module):
    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        # What all blocks add together stays of one size, whatever the depth.
        self.scale = shape.resid_scale / shape.num_hidden_layers
        self.attn_layernorm, self.mlp_layernorm = _Norm(shape), _Norm(shape)
        self.self_attn, self.mlp = _Attention(shape), _Mlp(shape)

    def forward(self, hidden: Tensor, turn: Tensor, keep: Tensor | None) -> Tensor:
        hidden = hidden + self.scale * self.self_attn(self.attn_layernorm(hidden), turn, keep)
        return hidden + self.scale * self.mlp(self.mlp_layernorm(hidden))


class _Attention(nn.Module):
    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        width, self.heads = shape.hidden_size, shape.num_attention_heads
        self.cap = shape.attn_soft_cap
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            ScaledLinear(width, width, shape.weight_scaling, bias=False) for _ in range(4)
        )
        self.q_norm, self.k_norm = (
            _Norm(shape) if shape.use_qk_norm else nn.Identity() for _ in range(2)
        )
        self.k_bias, self.v_bias = (
            nn.Parameter(torch.zeros(self.heads, width // self.heads))
            if shape.attention_bias
            else None
            for _ in range(2)
        )

    def forward(self, x: Tensor, turn: Tensor, keep: Tensor | None) -> Tensor:
        batch, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        # Queries and keys are normalised over all heads at once, before they are turned.
        q = _turned(split(self.q_norm(self.q_proj(x))), turn)
        k = _turned(split(self.k_norm(self.k_proj(x))), turn)
        v = split(self.v_proj(x))
        if self.k_bias is not None and self.v_bias is not None:
            first = (batch, self.heads, 1, width // self.heads)
            k = torch.cat([self.k_bias[None, :, None].expand(first).to(k.dtype), k], 2)
            v = torch.cat([self.v_bias[None, :, None].expand(first).to(v.dtype), v], 2)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        scores = self.cap * torch.tanh(scores / self.cap)
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, None], torch.finfo(scores.dtype).min)
        mixed = scores.softmax(-1, dtype=torch.float32).to(v.dtype) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class _Mlp(nn.Module):
    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        width, inner = shape.hidden_size, shape.intermediate_size
        self.up_proj = ScaledLinear(width, inner, shape.weight_scaling, bias=shape.mlp_bias)
        self.down_proj = ScaledLinear(inner, width, shape.weight_scaling, bias=shape.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.up_proj(x).relu().square())


class ScaledLinear(nn.Module):
    """A linear map whose weights, and not its bias, are scaled where they are used.

    Raises:
        AttractorError: for a scale that is neither a number nor a rule that there is.
    """

    def __init__(self, inputs: int, outputs: int, scale: Scale, *, bias: bool) -> None:
        super().__init__()
        rules = {"fan_in": inputs**-0.5, "fan_out": outputs**-0.5}
        if isinstance(scale, str) and scale not in rules:
            raise AttractorError(f"scale = {scale!r:.60}: there are fan_in, fan_out and numbers")
        self.scale = rules[scale] if isinstance(scale, str) else float(scale)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        y = (x @ self.weight.T) * self.scale
        return y if self.bias is None else y + self.bias


class _Norm(nn.Module):
    """Division by the root mean square, and a factor of 1 + weight; in float32."""

    def __init__(self, shape: ScaledShape) -> None:
        super().__init__()
        self.eps = shape.rms_norm_eps
        self.weight = nn.Parameter(torch.zeros(shape.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return ((1 + self.weight.float()) * wide).to(x.dtype)


def _turns(length: int, half: int, theta: float, device: torch.device) -> Float[Tensor, "2 L D"]:
    """Cosine and sine of each position's angle for each pair of coordinates."""
    # As its authors compute it: in float32 the same power written otherwise has other digits.
    exponent = torch.arange(0, 2 * half, 2, dtype=torch.float32, device=device) / (2 * half)
    frequency = 1.0 / torch.pow(theta, exponent)
    angle = torch.outer(torch.arange(length, dtype=torch.float32, device=device), frequency)
    return torch.stack([angle.cos(), angle.sin()])


def _turned(x: Float[Tensor, "B A L E"], turn: Float[Tensor, "2 L D"]) -> Float[Tensor, "B A L E"]:
    """Coordinate i and i + E/2 are a pair, which each position turns by its angle."""
    cos, sin = turn.to(x.dtype)
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)
