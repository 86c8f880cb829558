"""Denoisers that are exact: each returns the leave-one-out distribution of a known law.

`EmpiricalDenoiser` is the perfect memorizer, `MarkovDenoiser` the perfect generalizer,
`SpinDenoiser` the bridge to spin memories. Probability zero is written as `FLOOR` nats, so that no
difference of log-probabilities is NaN; its exponential is invisible beside any probability that can
be resolved.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess
from attractor.process.noise import CountedNoise
from attractor.process.uniform import UniformProcess
from attractor.types import AttractorError

FLOOR = -690.0
"""Nats in the place of log 0; exp(FLOOR) = 2e-300."""
CLEAN = 1e-30
"""Smallest 1 - alpha: at t = 0 exactly, tokens that no sequence of the law explains still have a
likelihood."""
SURE = 690.0
"""Log-odds of a token that is shown where noise is a mask: it is the clean one, up to 1e-300."""
PAIRS = 2**24
"""Pairs of a row and a pattern that are looked at together."""


def ordinary_posterior(
    log_r: Float[Tensor, "B L V"], x_t: Integer[Tensor, "B L"], alpha_t: Float[Tensor, "B"]
) -> Float[Tensor, "B L V"]:
    """log P(x_0[l] = v | x_t) from the leave-one-out distribution: the token's own evidence is
    mixed in.

    It is r_l(v) (alpha 1{v = x_t[l]} + (1 - alpha)/V), normalised over v.

    Args:
        log_r: what a `Denoiser` returns.
        x_t: the noisy tokens it was asked about.
        alpha_t: alpha at each row's time, in [0, 1].

    Returns:
        (B, L, V), float64.

    Raises:
        AttractorError: for tokens outside the vocabulary or alpha outside [0, 1].
    """
    vocab = log_r.shape[-1]
    x_t = check_tokens(x_t, vocab)
    _check_each_row("alpha", alpha_t, len(x_t))
    # Up to a factor that falls out when it is normalised, r is multiplied at x_t[l] alone, by
    # (alpha + (1 - alpha)/V) / ((1 - alpha)/V) = 1 + V alpha / (1 - alpha).
    noise = (1 - alpha_t.double()).clamp(min=CLEAN)[:, None, None]
    gain = torch.log1p(vocab * (1 - noise) / noise).expand(*x_t.shape, 1)
    return log_r.double().scatter_add(-1, x_t[..., None], gain).log_softmax(-1)


class EmpiricalDenoiser(Denoiser):
    """The law of a finite training set: the perfect memorizer.

    r_l(v) = sum_k w_k 1{x_k[l] = v} with w_k proportional to prod_{m != l} q(x_t[m] | x_k[m]). A
    pattern k that agrees with x_t at c_k tokens has prod_m q = (odds)^c_k up to a constant, odds =
    1 + V alpha / (1 - alpha): so counting agreements is all there is to do, and leaving position l
    out divides by the odds where the pattern agrees there.

    Beside the result, rows and patterns are held against each other in parts of 2^24 pairs, about
    20 bytes each.

    Args:
        tokens: training set, (K, L); repeated rows count as often as they occur.
        vocab_size: V, larger than every token.
        weights: probability of each row, proportionally, (K,); equal unless given.
        masks: noise is a mask, which is one more token, of id V.

    Raises:
        AttractorError: for an empty matrix, tokens outside the vocabulary, or weights that are no
            law.
    """

    def __init__(
        self,
        tokens: Integer[Tensor, "..."],
        vocab_size: int,
        weights: Float[Tensor, "..."] | None = None,
        masks: bool = False,
    ) -> None:
        self.process = _process(vocab_size, masks)
        tokens = check_tokens(tokens, vocab_size)
        self.seq_len, self.device = tokens.shape[1], tokens.device
        law = torch.ones(len(tokens), device=self.device) if weights is None else weights
        if law.shape != (len(tokens),):
            raise AttractorError(
                f"weights are {tuple(law.shape)}, but there are {len(tokens)} rows of tokens"
            )
        law = _law(law.double() / law.double().sum().clamp(min=1e-300), "weights")
        # A row of weight zero is no pattern; narrow integers make counting quicker.
        self.by_position = (
            tokens[law > 0].T.to(torch.int16 if vocab_size <= 2**15 else torch.int32).contiguous()
        )
        self.law = law[law > 0]

    def log_probs(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r in float64."""
        log_r = self.log_joint(x_t, t, where)
        return log_r.log_softmax(-1).clamp_(min=FLOOR)

    def log_joint(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """log P(x_0[l] = v, x_t at all positions but l), in float64, up to what x_t and t alone
        decide: the scale on which laws are mixed, see `MixtureDenoiser`."""
        x_t = _check_question(self, x_t, t, where)
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        # Rows are taken in parts, each of which fills its own stretch of the result.
        log_r = self.law.new_empty(int(wanted.sum()), self.process.vocab_size)
        size = max(1, PAIRS // len(self.law))
        done = 0
        for x, odds, chosen in zip(
            x_t.split(size), _log_odds(self, t).split(size), wanted.split(size), strict=True
        ):
            part = log_r[done : done + int(chosen.sum())]
            self._fill(part, x, odds, chosen)
            done += len(part)
        return log_r.view(*x_t.shape, -1) if where is None else log_r

    def nll(self, tokens: Integer[Tensor, "N L"]) -> Float[Tensor, "N"]:
        """Exact -log P of whole sequences, in nats.

        Raises:
            AttractorError: for a sequence that is not in the training set.
        """
        tokens = check_tokens(tokens, self.process.vocab_size, self.seq_len)
        parts = tokens.split(max(1, PAIRS // len(self.law)))
        mass = [
            torch.eq(self._agreements(part), tokens.shape[1]).double() @ self.law for part in parts
        ]
        return _finite_nll(torch.cat(mass).log(), tokens)

    def _agreements(self, x_t: Integer[Tensor, "B L"]) -> Integer[Tensor, "B K"]:
        """How many tokens of each row agree with each pattern; no (B, K, L) array is made."""
        agrees = torch.empty(len(x_t), len(self.law), dtype=torch.bool, device=self.device)
        # The narrowest integers that can count to L: this is a matter of memory traffic.
        count = torch.zeros_like(agrees, dtype=torch.uint8 if x_t.shape[1] < 256 else torch.int32)
        for pattern, x in zip(self.by_position, x_t.to(self.by_position.dtype).T, strict=True):
            count += torch.eq(pattern, x[:, None], out=agrees).view(torch.uint8)
        return count

    def _fill(
        self, log_r: Float[Tensor, "M V"], x_t: Tensor, log_odds: Tensor, where: Tensor
    ) -> None:
        count = self._agreements(x_t).int()
        # In float64 what underflows here is below 1e-280 of the largest weight, whichever position
        # is left out.
        most = count.amax(1, keepdim=True)
        weight = ((count - most) * log_odds[:, None]).exp_().mul_(self.law)
        scale = most[:, 0] * log_odds
        # Where in the result the distribution of each wanted position goes, in row-major order.
        place = (where.flatten().cumsum(0) - 1).view(where.shape)
        for position in where.any(0).nonzero()[:, 0].tolist():
            rows = where[:, position].nonzero()[:, 0]
            token = self.by_position[position].long().expand(len(rows), -1)
            # The weight of all patterns, collected by the token that they have here.
            mass = weight.new_zeros(len(rows), self.process.vocab_size)
            mass.scatter_add_(1, token, weight[rows])
            # Leaving this position out takes one agreement from those patterns that have x_t here.
            own = x_t[rows, position, None]
            without_own = mass.log_().scatter_add_(1, own, -log_odds[rows, None])
            log_r[place[rows, position]] = without_own + scale[rows, None]


class MarkovDenoiser(Denoiser):
    """A Markov source under token noise, by forward-backward: the perfect generalizer.

    r_l(v) is proportional to f_l(v) b_l(v): f_l carries the evidence of the tokens before l, b_l of
    those after it, and neither that of l itself (Rabiner, Proc. IEEE 77, 257, without the emission
    at l). Messages are kept in log space.

    Args:
        transition: P(next = j | this = i), (V, V), rows summing to one.
        initial: law of the first token, (V,).
        masks: noise is a mask, which is one more token, of id V.

    Raises:
        AttractorError: if they are not probabilities, or not of one size.
    """

    def __init__(
        self,
        transition: Float[Tensor, "..."],
        initial: Float[Tensor, "..."],
        masks: bool = False,
    ) -> None:
        if initial.ndim != 1 or transition.shape != (*initial.shape, *initial.shape):
            raise AttractorError(
                f"transition is {tuple(transition.shape)} and initial {tuple(initial.shape)}: "
                "allowed are (V, V), (V,)"
            )
        self.process = _process(len(initial), masks)
        self.transition, self.initial = _laws(transition), _law(initial, "initial")
        self.device = self.initial.device

    def log_probs(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r in float64."""
        log_r = self.log_joint(x_t, t, where)
        return (log_r - log_r.logsumexp(-1, keepdim=True)).clamp(min=FLOOR)

    def log_joint(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """log P(x_0[l] = v, x_t at all positions but l), in float64, up to what x_t and t alone
        decide: the scale on which laws are mixed, see `MixtureDenoiser`."""
        x_t = _check_question(self, x_t, t, where)
        size = len(self.initial)  # a mask is no token of the source, and says nothing of it
        agrees = torch.nn.functional.one_hot(x_t, self.process.vocab_size)[..., :size]
        evidence = agrees * _log_odds(self, t)[:, None, None]  # log q(x_t | v) up to a constant
        # A message takes the evidence of the token that it leaves, not of the one that it comes to:
        # so where the two meet, at l, the evidence of l itself is in neither.
        forward = [self.initial.log().expand(len(x_t), -1)]
        backward = [torch.zeros_like(forward[0])]
        for e in evidence.unbind(1)[:-1]:
            forward.append(_log_matmul(forward[-1] + e, self.transition))
        for e in evidence.flip(1).unbind(1)[:-1]:
            backward.append(_log_matmul(backward[-1] + e, self.transition.T))
        log_r = torch.stack([f + b for f, b in zip(forward, reversed(backward), strict=True)], 1)
        if self.process.mask_id is not None:
            log_r = torch.nn.functional.pad(log_r, (0, 1), value=-math.inf)
        return log_r if where is None else log_r[where]

    def sample(self, n: int, length: int, seed: int = 0) -> Int[Tensor, "N L"]:
        """Draw sequences; row i is a function of (seed, i).

        Raises:
            AttractorError: unless n and length are at least 1.
        """
        if n < 1 or length < 1:
            raise AttractorError(f"n = {n} and length = {length}: both must be at least 1")
        u = CountedNoise(seed, "markov").grid(torch.arange(n, device=self.device), length)[..., :1]
        tokens = [_invert(self.initial.expand(n, -1), u[:, 0])]
        for position in range(1, length):
            tokens.append(_invert(self.transition[tokens[-1]], u[:, position]))
        return torch.stack(tokens, 1)

    def nll(self, tokens: Integer[Tensor, "N L"]) -> Float[Tensor, "N"]:
        """Exact -log P of whole sequences, in nats.

        Raises:
            AttractorError: for a token outside the vocabulary, or a sequence of probability zero.
        """
        tokens = check_tokens(tokens, len(self.initial))
        steps = self.transition.log()[tokens[:, :-1], tokens[:, 1:]].sum(1)
        return _finite_nll(self.initial.log()[tokens[:, 0]] + steps, tokens)

    def entropy_rate(self) -> float:
        """Nats per token of the stationary source: -sum_ij pi_i P_ij log P_ij."""
        return (stationary_law(self.transition) @ torch.special.entr(self.transition).sum(1)).item()

    def token_entropy(self) -> float:
        """Entropy of a token given both its neighbours, in nats, under the stationary law: H(x_l |
        x_{l-1}, x_{l+1}).

        It is what the conditional entropy of an inner token tends to as t -> 0.
        """
        path = self.transition[:, :, None] * self.transition  # P(j, k | i)
        joint = stationary_law(self.transition)[:, None, None] * path
        # H(j | i, k) = H(i, j, k) - H(i, k).
        return (torch.special.entr(joint).sum() - torch.special.entr(joint.sum(1)).sum()).item()


class SpinDenoiser(Denoiser):
    """Couplings of a spin network read as conditional distributions: V = 2, token 1 is spin +1,
    token 0 is spin -1.

    P(s_l = +1 | rest) = sigmoid(2 h_l), h_l = sum_{j != l} J_lj s_j, whose negative logarithm is
    the loss that pseudo-likelihood learning minimises. For symmetric J it is the leave-one-out
    distribution of the law exp(sum_{i<j} J_ij s_i s_j) / Z as t -> 0; asymmetric couplings have no
    such law. It has no notion of t: at finite t it takes the noisy spins for clean ones, so there
    its NELBO is a bound and not the likelihood.

    Args:
        couplings: J_lj, from spin j to spin l, (L, L), zero on the diagonal.

    Raises:
        AttractorError: if J is not square, has fields that are not finite, or has a diagonal.
    """

    def __init__(self, couplings: Float[Tensor, "..."]) -> None:
        if couplings.ndim != 2 or couplings.shape[0] != couplings.shape[1] or not len(couplings):
            raise AttractorError(
                f"couplings must be an (L, L) matrix, not {tuple(couplings.shape)}"
            )
        largest = [
            x.abs().max().item() for x in (couplings.double().abs().sum(1), couplings.diagonal())
        ]
        if not math.isfinite(largest[0]) or largest[1]:
            raise AttractorError(
                "couplings must be finite, so must fields, and the diagonal must be zero; the "
                f"largest field is {largest[0]:g}, the largest entry of the diagonal {largest[1]:g}"
            )
        self.couplings = couplings.double()
        self.process = UniformProcess(2)
        self.time_conditioned = False
        self.seq_len, self.device = len(couplings), couplings.device

    def log_probs(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log sigmoid(-2h) and log sigmoid(2h) in float64, whatever t is."""
        x_t = _check_question(self, x_t, t, where)
        field = (2.0 * x_t - 1).double() @ self.couplings.T
        log_r = torch.nn.functional.logsigmoid(torch.stack([-2 * field, 2 * field], -1)).clamp(
            min=FLOOR
        )
        return log_r if where is None else log_r[where]


def stationary_law(transition: Float[Tensor, "V V"]) -> Float[Tensor, "V"]:
    """The law pi with pi P = pi.

    Raises:
        AttractorError: if there is more than one, or a row of `transition` is no law.
    """
    # (P^T - 1) pi = 0 together with sum pi = 1: V + 1 equations, of full rank V where pi is the
    # only solution. Least squares because one of them follows from the others.
    transition, vocab = _laws(transition), len(transition)
    system = torch.cat([transition.T, transition.new_ones(1, vocab)])
    system[:vocab].diagonal().sub_(1)
    rank = int(torch.linalg.matrix_rank(system))
    if rank < vocab:
        raise AttractorError(
            f"transition has {vocab - rank + 1} stationary laws; only a source with one is allowed"
        )
    target = system.new_zeros(vocab + 1)
    target[-1] = 1
    return torch.linalg.lstsq(system, target[:, None]).solution[:, 0].clamp(min=0)


def check_tokens(tokens: Tensor, vocab_size: int, length: int | None = None) -> Int[Tensor, "K L"]:
    """The tokens in int64, once they are known to be a matrix of ids in [0, V), with `length` in a
    row if given.

    Raises:
        AttractorError: otherwise.
    """
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise AttractorError(f"tokens are {tokens.dtype}: allowed are whole numbers")
    if tokens.ndim != 2 or not tokens.numel():
        raise AttractorError(
            f"tokens must be a (K, L) matrix with at least one row, not {tuple(tokens.shape)}"
        )
    if length is not None and tokens.shape[1] != length:
        raise AttractorError(f"rows have {tokens.shape[1]} tokens, but the law is one of {length}")
    for end in (int(tokens.min()), int(tokens.max())):
        if not 0 <= end < vocab_size:
            raise AttractorError(f"token id {end} is outside the vocabulary of {vocab_size}")
    return tokens.long()


def _check_question(
    denoiser: Denoiser, x_t: Tensor, t: Tensor, where: Tensor | None
) -> Int[Tensor, "B L"]:
    """x_t in int64, once it is known that the denoiser can be asked about it."""
    x_t = check_tokens(x_t, denoiser.process.vocab_size, denoiser.seq_len)
    _check_each_row("t", t, len(x_t))
    if where is not None and (where.shape != x_t.shape or where.dtype != torch.bool):
        raise AttractorError(
            f"where is {tuple(where.shape)} of {where.dtype}, but must be {tuple(x_t.shape)} of "
            "torch.bool"
        )
    return x_t


def _check_each_row(name: str, values: Tensor, rows: int) -> None:
    if values.shape != (rows,):
        raise AttractorError(
            f"{name} is {tuple(values.shape)}, but there are {rows} rows of tokens"
        )
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        raise AttractorError(f"{name} = {outside[0].item():g} is outside [0, 1]")


def _process(vocab_size: int, masks: bool) -> ForwardProcess:
    """Uniform noise, or masks beside so many tokens of text."""
    return AbsorbingProcess(vocab_size + 1) if masks else UniformProcess(vocab_size)


def _log_odds(denoiser: Denoiser, t: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """log q(x_t = v | x_0 = v) / q(x_t = v | x_0 != v) = log(1 + V alpha / (1 - alpha)), finite at
    t = 0 too."""
    if denoiser.process.mask_id is not None:
        return torch.full_like(t, SURE, dtype=torch.float64)
    alpha = denoiser.process.schedule.alpha(t.double())
    return torch.log1p(denoiser.process.vocab_size * alpha / (1 - alpha).clamp(min=CLEAN))


def _log_matmul(
    log_row: Float[Tensor, "B I"], matrix: Float[Tensor, "I J"]
) -> Float[Tensor, "B J"]:
    """log(exp(log_row) @ matrix), exact however far the entries of a row are apart."""
    top = log_row.amax(1, keepdim=True)
    product = top + ((log_row - top).exp() @ matrix).log()
    # Terms below exp(-745) of the largest are lost in the product: where they could matter, they
    # are added as logs.
    small = (product < top - 650).any(1).nonzero()[:, 0]
    if len(small):
        product[small] = (log_row[small, :, None] + matrix.log()).logsumexp(1)
    return product


def _invert(law: Float[Tensor, "N V"], u: Float[Tensor, "N 1"]) -> Int[Tensor, "N"]:
    cumulative = law.cumsum(-1)
    # The sum is 1 up to rounding: scaling keeps u below it, and a token of probability zero is
    # never drawn.
    return torch.searchsorted(cumulative, u * cumulative[:, -1:], right=True)[:, 0]


def _laws(transition: Tensor) -> Float[Tensor, "V V"]:
    """The rows in float64, once each is known to be a law."""
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1] or not len(transition):
        raise AttractorError(f"transition is {tuple(transition.shape)}: allowed is (V, V)")
    return torch.stack([_law(row, f"row {i} of transition") for i, row in enumerate(transition)])


def _law(values: Tensor, what: str) -> Float[Tensor, "V"]:
    """The values in float64, once they are known to be probabilities."""
    total = values.double().sum().item()
    if not (math.isfinite(total) and (values >= 0).all() and abs(total - 1) < 1e-5):
        raise AttractorError(
            f"{what} sums to {total:g}, lowest entry {values.min().item():g}: it must be a law"
        )
    return values.double() / total


def _finite_nll(log_p: Float[Tensor, "N"], tokens: Integer[Tensor, "N L"]) -> Float[Tensor, "N"]:
    impossible = (~log_p.isfinite()).nonzero()[:, 0].tolist()
    if impossible:
        row = impossible[0]
        raise AttractorError(
            f"row {row} has probability zero under this law: {tokens[row].tolist()[:16]}; only "
            "sequences it can produce have a likelihood"
        )
    return -log_p
