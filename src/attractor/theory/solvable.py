"""Denoisers that are exact: each returns the leave-one-out distribution of a known law.

`EmpiricalDenoiser` is the perfect memorizer, `MarkovDenoiser` the perfect generalizer, `SpinDenoiser` the bridge to
spin memories. Probability zero is written as `FLOOR` nats, so that no difference of log-probabilities is NaN; its
exponential is invisible beside any probability that can be resolved.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.process.uniform import UniformProcess
from attractor.runtime import CountedNoise
from attractor.types import AttractorError

FLOOR = -690.0
"""Nats in the place of log 0; exp(FLOOR) = 2e-300."""
CLEAN = 1e-30
"""Smallest 1 - alpha: at t = 0 exactly, tokens that no sequence of the law explains still have a likelihood."""
ENTRIES = 2**24
"""Numbers in the (patterns, rows) matrix of weights at a time: 128 MiB in float64."""


def ordinary_posterior(
    log_r: Float[Tensor, "B L V"], x_t: Int[Tensor, "B L"], alpha_t: Float[Tensor, "B"]
) -> Float[Tensor, "B L V"]:
    """log P(x_0[l] = v | x_t) from the leave-one-out distribution: the token's own evidence is mixed in.

    It is r_l(v) (alpha 1{v = x_t[l]} + (1 - alpha)/V), normalised over v.
    """
    vocab = log_r.shape[-1]
    noise = (1 - alpha_t.double()).clamp(min=CLEAN)[:, None, None]
    gain = torch.log1p(vocab * (1 - noise) / noise).expand(*x_t.shape, 1)
    return log_r.double().scatter_add(-1, x_t[..., None], gain).log_softmax(-1)


class EmpiricalDenoiser(Denoiser):
    """The law of a finite training set: the perfect memorizer.

    r_l(v) = sum_k w_k 1{x_k[l] = v} with w_k proportional to prod_{m != l} q(x_t[m] | x_k[m]). A pattern k that agrees
    with x_t at c_k tokens has prod_m q = (odds)^c_k up to a constant, odds = 1 + V alpha / (1 - alpha): so counting
    agreements is all there is to do, and leaving position l out divides by the odds where the pattern agrees there.

    Needs 8 bytes for each pattern and row of a batch, in parts of 128 MiB, beside the result.

    Args:
        tokens: training set; repeated rows count as often as they occur.
        vocab_size: V, larger than every token.
        weights: probability of each row, proportionally; equal unless given.

    Raises:
        AttractorError: for an empty matrix, tokens outside the vocabulary, or weights that are no law.
    """

    def __init__(self, tokens: Int[Tensor, "K L"], vocab_size: int, weights: Float[Tensor, "K"] | None = None) -> None:
        if tokens.ndim != 2 or not tokens.numel():
            raise AttractorError(f"tokens must be a (K, L) matrix with at least one row, not {tuple(tokens.shape)}")
        self.process = UniformProcess(vocab_size)
        _check_range(tokens, vocab_size)
        self.seq_len, self.device = tokens.shape[1], tokens.device
        self.by_position = tokens.long().T.contiguous()
        weights = torch.ones(len(tokens), device=self.device) if weights is None else weights
        self.law = _law(weights / weights.sum(), "weights")

    def log_probs(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], where: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r in float64."""
        _check_length(x_t, self.seq_len)
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        log_odds = _log_odds(self, t)
        rows = max(1, ENTRIES // self.by_position.shape[1])
        parts = [
            self._part(x, odds, chosen)
            for x, odds, chosen in zip(x_t.split(rows), log_odds.split(rows), wanted.split(rows), strict=True)
        ]
        log_r = torch.cat(parts) if len(parts) > 1 else parts[0]
        return log_r.view(*x_t.shape, -1) if where is None else log_r

    def nll(self, tokens: Int[Tensor, "N L"]) -> Float[Tensor, "N"]:
        """Exact -log P of whole sequences, in nats.

        Raises:
            AttractorError: for a sequence that is not in the training set.
        """
        _check_length(tokens, self.seq_len)
        same = self._agreements(tokens) == self.seq_len
        return _finite_nll((self.law[:, None] * same).sum(0).log(), tokens)

    def _agreements(self, x_t: Int[Tensor, "B L"]) -> Int[Tensor, "K B"]:
        """How many tokens of each pattern agree with each row; no (K, B, L) array is made."""
        count = torch.zeros(self.by_position.shape[1], len(x_t), dtype=torch.int32, device=self.device)
        for pattern, x in zip(self.by_position, x_t.T, strict=True):
            count += pattern[:, None] == x
        return count

    def _part(self, x_t: Tensor, log_odds: Tensor, where: Tensor) -> Float[Tensor, "M V"]:
        count = self._agreements(x_t)
        # In float64 what underflows here is below 1e-300 of the largest weight, whichever position is left out.
        weight = ((count - count.amax(0)) * log_odds).exp_() * self.law[:, None]
        place = (where.flatten().cumsum(0) - 1).view(where.shape)
        out = weight.new_empty(int(where.sum()), self.process.vocab_size)
        for position in where.any(0).nonzero()[:, 0].tolist():
            rows = where[:, position].nonzero()[:, 0]
            mass = weight.new_zeros(self.process.vocab_size, len(rows))
            mass.index_add_(0, self.by_position[position], weight[:, rows])
            log_mass = mass.T.log()
            log_mass[torch.arange(len(rows)), x_t[rows, position]] -= log_odds[rows]
            out[place[rows, position]] = log_mass
        out -= out.logsumexp(-1, keepdim=True)
        return out.clamp_(min=FLOOR)


class MarkovDenoiser(Denoiser):
    """A Markov source under token noise, by forward-backward: the perfect generalizer.

    r_l(v) is proportional to f_l(v) b_l(v): f_l carries the evidence of the tokens before l, b_l of those after it, and
    neither that of l itself (Rabiner, Proc. IEEE 77, 257, without the emission at l). Messages are kept in log space.

    Args:
        transition: P(next = j | this = i), rows summing to one.
        initial: law of the first token.

    Raises:
        AttractorError: if they are not probabilities, or not of one size.
    """

    def __init__(self, transition: Float[Tensor, "V V"], initial: Float[Tensor, "V"]) -> None:
        if transition.ndim != 2 or transition.shape != (len(initial), len(initial)):
            raise AttractorError(
                f"transition is {tuple(transition.shape)} and initial {tuple(initial.shape)}: allowed are (V, V), (V,)"
            )
        self.transition = torch.stack([_law(row, f"row {i} of transition") for i, row in enumerate(transition)])
        self.initial = _law(initial, "initial")
        self.process = UniformProcess(len(initial))
        self.device = self.initial.device

    def log_probs(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], where: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r in float64."""
        agrees = torch.nn.functional.one_hot(x_t, self.process.vocab_size)
        evidence = agrees * _log_odds(self, t)[:, None, None]  # log q(x_t | v) up to a constant
        log_step = self.transition.log()
        forward = [self.initial.log().expand(len(x_t), -1)]
        backward = [torch.zeros_like(forward[0])]
        for e in evidence.unbind(1)[:-1]:
            forward.append(_log_matmul(forward[-1] + e, log_step))
        for e in evidence.flip(1).unbind(1)[:-1]:
            backward.append(_log_matmul(backward[-1] + e, log_step.T))
        log_r = torch.stack([f + b for f, b in zip(forward, reversed(backward), strict=True)], 1)
        log_r = (log_r - log_r.logsumexp(-1, keepdim=True)).clamp(min=FLOOR)
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

    def nll(self, tokens: Int[Tensor, "N L"]) -> Float[Tensor, "N"]:
        """Exact -log P of whole sequences, in nats.

        Raises:
            AttractorError: for a token outside the vocabulary, or a sequence of probability zero.
        """
        _check_range(tokens, self.process.vocab_size)
        steps = self.transition.log()[tokens[:, :-1], tokens[:, 1:]].sum(1)
        return _finite_nll(self.initial.log()[tokens[:, 0]] + steps, tokens)

    def entropy_rate(self) -> float:
        """Nats per token of the stationary source: -sum_ij pi_i P_ij log P_ij."""
        return (stationary_law(self.transition) @ torch.special.entr(self.transition).sum(1)).item()

    def token_entropy(self) -> float:
        """Entropy of a token given both its neighbours, in nats, under the stationary law: H(x_l | x_{l-1}, x_{l+1}).

        It is what the conditional entropy of an inner token tends to as t -> 0.
        """
        path = self.transition[:, :, None] * self.transition  # P(j, k | i)
        joint = stationary_law(self.transition)[:, None, None] * path
        return (torch.special.entr(joint).sum() - torch.special.entr(joint.sum(1)).sum()).item()


class SpinDenoiser(Denoiser):
    """Couplings of a spin network read as conditional distributions: V = 2, token 1 is spin +1, token 0 is spin -1.

    P(s_l = +1 | rest) = sigmoid(2 h_l), h_l = sum_{j != l} J_lj s_j, whose negative logarithm is the loss that
    pseudo-likelihood learning minimises. For symmetric J it is the leave-one-out distribution of the law
    exp(sum_{i<j} J_ij s_i s_j) / Z as t -> 0; asymmetric couplings have no such law. It has no notion of t: at finite
    t it takes the noisy spins for clean ones, so there its NELBO is a bound and not the likelihood.

    Args:
        couplings: J_lj, from spin j to spin l, zero on the diagonal.

    Raises:
        AttractorError: if J is not square, not finite, or has a diagonal.
    """

    def __init__(self, couplings: Float[Tensor, "L L"]) -> None:
        if couplings.ndim != 2 or couplings.shape[0] != couplings.shape[1]:
            raise AttractorError(f"couplings must be an (L, L) matrix, not {tuple(couplings.shape)}")
        if not couplings.isfinite().all() or couplings.diagonal().any():
            raise AttractorError(
                "couplings must be finite with a zero diagonal; the largest entry there is "
                f"{couplings.diagonal().abs().max().item():g}"
            )
        self.couplings = couplings.double()
        self.process = UniformProcess(2)
        self.seq_len, self.device = len(couplings), couplings.device

    def log_probs(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], where: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log sigmoid(-2h) and log sigmoid(2h) in float64, whatever t is."""
        _check_length(x_t, self.seq_len)
        field = (2.0 * x_t - 1).double() @ self.couplings.T
        log_r = torch.nn.functional.logsigmoid(torch.stack([-2 * field, 2 * field], -1)).clamp(min=FLOOR)
        return log_r if where is None else log_r[where]


def stationary_law(transition: Float[Tensor, "V V"]) -> Float[Tensor, "V"]:
    """The law pi with pi P = pi.

    Raises:
        AttractorError: if there is more than one.
    """
    vocab = len(transition)
    system = torch.cat([transition.double().T - torch.eye(vocab), torch.ones(1, vocab)])
    rank = int(torch.linalg.matrix_rank(system))
    if rank < vocab:
        raise AttractorError(f"transition has {vocab - rank + 1} stationary laws; only a source with one is allowed")
    target = torch.zeros(vocab + 1, dtype=torch.float64)
    target[-1] = 1
    return torch.linalg.lstsq(system, target[:, None]).solution[:, 0].clamp(min=0)


def random_source(vocab_size: int, concentration: float = 0.3, seed: int = 0) -> MarkovDenoiser:
    """A stationary Markov source whose transition rows are Dirichlet draws; a small concentration makes them peaked."""
    if not concentration > 0:
        raise AttractorError(f"concentration = {concentration} must be positive")
    gamma = torch.distributions.Gamma(torch.full((vocab_size, vocab_size), concentration).double(), 1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = gamma.sample() + 1e-3 * concentration  # no step is impossible
    transition = weights / weights.sum(1, keepdim=True)
    return MarkovDenoiser(transition, stationary_law(transition))


def _log_odds(denoiser: Denoiser, t: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """log q(x_t = v | x_0 = v) / q(x_t = v | x_0 != v) = log(1 + V alpha / (1 - alpha)), finite at t = 0 too."""
    alpha = denoiser.process.schedule.alpha(t.double())
    return torch.log1p(denoiser.process.vocab_size * alpha / (1 - alpha).clamp(min=CLEAN))


def _log_matmul(log_row: Float[Tensor, "B I"], log_matrix: Float[Tensor, "I J"]) -> Float[Tensor, "B J"]:
    return (log_row[:, :, None] + log_matrix).logsumexp(1)


def _invert(law: Float[Tensor, "N V"], u: Float[Tensor, "N 1"]) -> Int[Tensor, "N"]:
    cumulative = law.cumsum(-1)
    # The sum is 1 up to rounding: scaling keeps u below it, and a token of probability zero is never drawn.
    return torch.searchsorted(cumulative, u * cumulative[:, -1:], right=True)[:, 0]


def _law(values: Tensor, what: str) -> Float[Tensor, "V"]:
    """The values in float64, once they are known to be probabilities."""
    total = values.double().sum().item()
    if not (math.isfinite(total) and (values >= 0).all() and abs(total - 1) < 1e-5):
        raise AttractorError(f"{what} sums to {total:g}, lowest entry {values.min().item():g}: it must be a law")
    return values.double() / total


def _check_range(tokens: Tensor, vocab_size: int) -> None:
    for end in (int(tokens.min()), int(tokens.max())):
        if not 0 <= end < vocab_size:
            raise AttractorError(f"token id {end} is outside the vocabulary of {vocab_size}")


def _check_length(x_t: Tensor, length: int | None) -> None:
    if x_t.shape[1] != length:
        raise AttractorError(f"rows have {x_t.shape[1]} tokens, but the law is one of {length}")


def _finite_nll(log_p: Float[Tensor, "N"], tokens: Int[Tensor, "N L"]) -> Float[Tensor, "N"]:
    impossible = (~log_p.isfinite()).nonzero()[:, 0].tolist()
    if impossible:
        row = impossible[0]
        raise AttractorError(
            f"row {row} has probability zero under this law: {tokens[row].tolist()[:16]}; "
            "only sequences it can produce have a likelihood"
        )
    return -log_p
