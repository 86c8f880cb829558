"""The diffusion transformer of the public checkpoints: adaLN-zero blocks with rotary attention.

Parameter names, shapes and arithmetic are those of the DDiT used by MDLM, Duo and UDLM (after
Peebles & Xie, arXiv:2212.09748), so their weights load as they are.

Who asks for the distributions at a few positions only (`where`) pays for those alone in the last
block and the output layer. All earlier blocks must run everywhere: every position gives keys and
values to the next one.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from attractor.process.interfaces import Mixture
from attractor.types import AttractorError


class DDiT(nn.Module):
    """Noisy tokens and noise level in, logits out.

    Args:
        vocab_size: V.
        hidden_size: width of the residual stream, a multiple of 2 * n_heads.
        n_blocks: transformer blocks.
        n_heads: attention heads.
        cond_dim: width of the noise-level embedding.
        dropout: in the residual branches, while training.
        causal: whether each position sees only the tokens before it, and after a start, which is
            the last id, predicts the next one.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        n_blocks: int,
        n_heads: int,
        cond_dim: int = 128,
        dropout: float = 0.1,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.vocab_embed = Embedding(vocab_size, hidden_size)
        self.sigma_map = TimestepEmbedder(cond_dim)
        self.rotary_emb = Rotary(hidden_size // n_heads)
        self.blocks = nn.ModuleList(
            [
                TransformerBlock(hidden_size, n_heads, cond_dim, dropout, causal)
                for _ in range(n_blocks)
            ]
        )
        self.output_layer = OutputLayer(hidden_size, vocab_size, cond_dim)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights that take one hidden state to another: attention and MLP, not the modulation by
        the noise level."""
        named = (pair for block in self.blocks for pair in block.named_parameters())
        return [p for name, p in named if p.ndim == 2 and "adaLN" not in name]

    def compile_blocks(self) -> None:
        """Compile the blocks; they share what is compiled, and a new number of rows costs one more
        compilation, once.

        The rest is left as it is: embedding and output layer are one operation each.

        Raises:
            AttractorError: if nothing can be compiled here, for want of a C++ compiler or of
                Triton.
        """
        try:  # on next to nothing, since blocks are compiled only when they first run
            torch.compile(lambda x: x + 1)(self.vocab_embed.embedding.detach()[:1])
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise AttractorError(
                f"compile = True: torch.compile does not work here: {reason}"
            ) from None
        for block in self.blocks:
            block.compile(fullgraph=True)

    def hidden(
        self,
        x_t: Int[Tensor, "B L"] | Mixture,
        sigma: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L H"] | Float[Tensor, "M H"]:
        """What the projection to the vocabulary sees, at every position, or at the M true ones of
        `where` only.

        Args:
            x_t: noisy tokens, or several for each position with their shares.
            sigma: noise level of each row.
            where: positions that are wanted; all unless given.
        """
        if self.causal and isinstance(x_t, Tensor):  # the token before each position
            x_t = F.pad(x_t[:, :-1], (1, 0), value=len(self.vocab_embed.embedding) - 1)
        x = self.vocab_embed(x_t)
        condition = F.silu(self.sigma_map(sigma))
        rotation = self.rotary_emb(x.shape[1])
        for block in self.blocks[:-1]:
            x = block(x, condition, rotation)
        last = cast(TransformerBlock, self.blocks[-1])
        if where is None or where.all():
            x = self.output_layer.hidden(last(x, condition, rotation), condition[:, None])
            return x if where is None else x.flatten(0, 1)
        row = where.nonzero()[:, 0]
        return self.output_layer.hidden(last.at(x, condition, rotation, where), condition[row])

    def forward(
        self,
        x_t: Int[Tensor, "B L"] | Mixture,
        sigma: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Logits at every position, or at those of `where` only."""
        return self.output_layer.linear(self.hidden(x_t, sigma, where))


class Embedding(nn.Module):
    """Token embedding under the public name `vocab_embed.embedding`."""

    def __init__(self, vocab_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocab_size, hidden_size))
        nn.init.kaiming_uniform_(self.embedding, a=math.sqrt(5))

    def forward(self, seen: Int[Tensor, "B L"] | Mixture) -> Float[Tensor, "B L H"]:
        """Look tokens up; of a mixture, the mean by their shares."""
        if isinstance(seen, Tensor):
            return F.embedding(seen, self.embedding)
        # The sum over the vocabulary of share times embedding, without a V-wide tensor of shares.
        tokens, shares = (field.flatten(0, 1) for field in seen)
        mean = F.embedding_bag(tokens, self.embedding, per_sample_weights=shares, mode="sum")
        return mean.unflatten(0, seen.tokens.shape[:2])


class TimestepEmbedder(nn.Module):
    """Sinusoidal features of the noise level through a small network."""

    def __init__(self, cond_dim: int, n_features: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(n_features, cond_dim), nn.SiLU(), nn.Linear(cond_dim, cond_dim)
        )
        half = n_features // 2
        # By name of a device, since on "meta", where weights are only counted, it takes seconds.
        steps = torch.arange(half, dtype=torch.float32, device="cpu")
        frequencies = torch.exp(-math.log(10_000) * steps / half)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, sigma: Float[Tensor, "B"]) -> Float[Tensor, "B C"]:
        """Embed the noise level of each row."""
        # Frequencies from 1 down to 1 / 10,000 in even steps of their logarithm, so that small and
        # large noise levels can both be told apart.
        angle = sigma[:, None].float() * self.get_buffer("frequencies")
        return self.mlp(torch.cat([angle.cos(), angle.sin()], -1))


class Rotary(nn.Module):
    """Rotary position embedding (Su et al., arXiv:2104.09864), rotating the two halves of each
    head."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        steps = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu")
        inv_freq = 1.0 / 10_000 ** (steps / head_dim)
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def forward(self, length: int) -> tuple[Float[Tensor, "L D2"], Float[Tensor, "L D2"]]:
        """Cosines and sines of every position, for one half of a head."""
        # Made anew for each call: tables would have to be kept at the longest length seen.
        inv_freq = self.get_buffer("inv_freq")
        angle = torch.outer(
            torch.arange(length, device=inv_freq.device, dtype=torch.float32), inv_freq
        )
        return angle.cos(), angle.sin()


class TransformerBlock(nn.Module):
    """Self-attention and MLP, each shifted, scaled and gated by the noise level (adaLN-zero)."""

    def __init__(
        self, hidden_size: int, n_heads: int, cond_dim: int, dropout: float, causal: bool
    ) -> None:
        super().__init__()
        self.causal = causal
        self.n_heads = n_heads
        self.dropout = dropout
        self.norm1 = LayerNorm(hidden_size)
        self.attn_qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.attn_out = nn.Linear(hidden_size, hidden_size, bias=False)
        self.norm2 = LayerNorm(hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, 4 * hidden_size),
            Gelu(),
            nn.Linear(4 * hidden_size, hidden_size),
        )
        self.adaLN_modulation = _zero_linear(cond_dim, 6 * hidden_size)

    def forward(
        self,
        x: Float[Tensor, "B L H"],
        condition: Float[Tensor, "B C"],
        rotation: tuple[Tensor, Tensor],
    ) -> Float[Tensor, "B L H"]:
        """The hidden states after this block, at every position."""
        shift_attn, scale_attn, gate_attn, shift_mlp, scale_mlp, gate_mlp = self.modulation(
            condition
        )
        branch = self.attention(_modulate(self.norm1(x), shift_attn, scale_attn), rotation)
        x = torch.addcmul(x, gate_attn, F.dropout(branch, self.dropout, self.training))
        branch = self.mlp(_modulate(self.norm2(x), shift_mlp, scale_mlp))
        return torch.addcmul(x, gate_mlp, F.dropout(branch, self.dropout, self.training))

    def at(
        self,
        x: Float[Tensor, "B L H"],
        condition: Float[Tensor, "B C"],
        rotation: tuple[Tensor, Tensor],
        where: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "M H"]:
        """One block in evaluation, at the M true positions of `where`: all others only give keys
        and values."""
        row, position = where.nonzero(as_tuple=True)
        modulation = self.modulation(condition)
        # Normalised and modulated at every position, since all of them give keys and values; from
        # the attention on, everything is at the M positions, with the modulation of their rows.
        branch = self.attention_at(
            _modulate(self.norm1(x), *modulation[:2]), rotation, row, position
        )
        _, _, gate_attn, shift_mlp, scale_mlp, gate_mlp = (m[row, 0] for m in modulation)
        x = torch.addcmul(x[row, position], gate_attn, branch)
        return torch.addcmul(x, gate_mlp, self.mlp(_modulate(self.norm2(x), shift_mlp, scale_mlp)))

    def modulation(self, condition: Float[Tensor, "B C"]) -> tuple[Tensor, ...]:
        """Shift, scale and gate of the attention and of the MLP, each (B, 1, H)."""
        return self.adaLN_modulation(condition)[:, None].chunk(6, dim=-1)

    def attention(
        self, x: Float[Tensor, "B L H"], rotation: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "B L H"]:
        """Rotary self-attention, to all positions or, if causal, to none behind the own one."""
        batch, length, hidden = x.shape
        qkv = self.attn_qkv(x).view(batch, length, 3, self.n_heads, hidden // self.n_heads)
        cos, sin = (r.to(qkv.dtype)[:, None, None] for r in rotation)
        q, k = _Rotate.apply(qkv[:, :, :2], cos, sin).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(
            q, k, qkv[:, :, 2].transpose(1, 2), is_causal=self.causal
        )
        return self.attn_out(y.transpose(1, 2).reshape(batch, length, hidden))

    def attention_at(
        self,
        x: Float[Tensor, "B L H"],
        rotation: tuple[Tensor, Tensor],
        row: Int[Tensor, "M"],
        position: Int[Tensor, "M"],
    ) -> Float[Tensor, "M H"]:
        """The same for M queries; rows have unequal numbers of them and are padded to the
        largest."""
        batch, length, hidden = x.shape
        head = (self.n_heads, hidden // self.n_heads)
        # The joint projection is cut by its outputs, so that queries are computed where they are
        # wanted, keys and values everywhere.
        w_q, w_kv = self.attn_qkv.weight.split([hidden, 2 * hidden])
        kv = F.linear(x, w_kv).view(batch, length, 2, *head)
        cos, sin = (r.to(kv.dtype)[:, None] for r in rotation)
        q = _Rotate.apply(
            F.linear(x[row, position], w_q).view(-1, *head), cos[position], sin[position]
        )
        # `row` ascends: a query's slot is its place after the first query of its row. What the
        # slots that stay empty attend to is never read.
        slot = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)
        queries = q.new_zeros(batch, int(torch.bincount(row, minlength=batch).max()), *head)
        queries[row, slot] = q
        k, v = _Rotate.apply(kv[:, :, 0], cos, sin).transpose(1, 2), kv[:, :, 1].transpose(1, 2)
        seen = None
        if self.causal:
            seen = queries.new_ones(*queries.shape[:2], length, dtype=torch.bool)
            seen[row, slot] = torch.arange(length, device=row.device) <= position[:, None]
            seen = seen[:, None]
        y = F.scaled_dot_product_attention(queries.transpose(1, 2), k, v, seen)
        return self.attn_out(y.transpose(1, 2)[row, slot].flatten(1))


class Gelu(nn.Module):
    """GELU by tanh, x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3)."""

    def forward(self, x: Float[Tensor, "*n H"]) -> Float[Tensor, "*n H"]:
        """Each number by itself."""
        if torch.is_grad_enabled() or x.dtype != torch.float32 or x.device.type != "cpu":
            return F.gelu(x, approximate="tanh")
        # The same is x times the logistic function of 2 u, for which torch's CPU code takes half
        # the time of its tanh.
        slope = 2 * math.sqrt(2 / math.pi)
        return (x * x).mul_(0.044715 * slope).add_(slope).mul_(x).sigmoid_().mul_(x)


class OutputLayer(nn.Module):
    """Final norm, modulation and the untied projection to the vocabulary."""

    def __init__(self, hidden_size: int, vocab_size: int, cond_dim: int) -> None:
        super().__init__()
        self.norm_final = LayerNorm(hidden_size)
        self.linear = _zero_linear(hidden_size, vocab_size)
        self.adaLN_modulation = _zero_linear(cond_dim, 2 * hidden_size)

    def hidden(
        self, x: Float[Tensor, "*n H"], condition: Float[Tensor, "*c C"]
    ) -> Float[Tensor, "*n H"]:
        """Input of the projection: normalised, shifted and scaled by the noise level."""
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=-1)
        return _modulate(self.norm_final(x), shift, scale)


class LayerNorm(nn.Module):
    """Layer normalisation with a weight and no bias, in float32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*n H"]) -> Float[Tensor, "*n H"]:
        """Normalise the last axis, to mean 0 and variance 1 times the weight."""
        # In float32 also under autocast: a variance in bf16 has two or three digits.
        return F.layer_norm(x.float(), self.weight.shape, self.weight.float())


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, x, 1 + scale)


class _Rotate(torch.autograd.Function):
    """Rotate queries and keys; the backward pass rotates back.

    A rotation is undone by the opposite angle, so the gradient needs no input that was kept: only
    cosines and sines, which all blocks share.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad, cos, -sin), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The two halves of the last axis turned by an angle, written straight into place."""
    x1, x2 = x.chunk(2, -1)
    # The compiler places results by itself, and knows no slice as `out`.
    if torch.compiler.is_compiling():
        return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
    y = torch.empty_like(x)
    y1, y2 = y.chunk(2, -1)
    torch.mul(x1, cos, out=y1).addcmul_(x2, sin, value=-1)
    torch.mul(x2, cos, out=y2).addcmul_(x1, sin)
    return y


def _zero_linear(n_in: int, n_out: int) -> nn.Linear:
    # adaLN-zero: with modulation and gates at zero every block starts as the identity, and with the
    # output layer at zero the first distributions are uniform.
    layer = nn.Linear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
