"""Every setting, each default written once; frozen, hashed, and never handed to mathematics."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from attractor.types import AttractorError, ProcessName

LATER = {"later": True}
"""Marks a setting that came after the first runs: it belongs to a config's identity where it is not
its default."""
FREE = {"free": True}
"""Marks a setting that changes no number that is measured: it is no part of a config's identity."""


def _positive(config: object, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise AttractorError(f"{name} = {getattr(config, name)} must be positive")


def _within(config: object, low: float, high: float, *names: str) -> None:
    for name in names:
        if not low <= getattr(config, name) < high:
            raise AttractorError(
                f"{name} = {getattr(config, name)} must be at least {low} and below {high}"
            )


def _check_share(uniform_share: float) -> None:
    if not 0 < uniform_share < 1:
        raise AttractorError(
            f"uniform_share = {uniform_share} is outside (0, 1); 0 is the absorbing process"
        )


def _check_curriculum(process: ProcessName, train: TrainConfig) -> None:
    if train.curriculum != "none" and process != "uniform":
        raise AttractorError(
            f"curriculum = {train.curriculum!r} needs process = 'uniform', not {process!r}"
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which text, cut how."""

    source: str = "bible"
    """"bible" (built in, World English Bible); the path of a .txt, .jsonl or .parquet file or a
    folder of those; a data set of the Hub, owner/name; or lm1b, openwebtext, wikitext, text8, with
    :PATH behind it where the files are here"""
    column: str = "text"
    """text column of .jsonl and .parquet files and of data sets"""
    subset: str = field(default="", metadata=LATER)
    """of a data set of the Hub that has several"""
    split: str = field(default="", metadata=LATER)
    """of a data set of the Hub to train on; its own "train" unless given"""
    test_split: str = field(default="", metadata=LATER)
    """of a data set of the Hub with unseen text; documents of `split` are held out unless given"""
    revision: str = field(default="", metadata=LATER)
    """branch, tag or commit of a data set of the Hub"""
    wrap: Literal["continuous", "paper"] = field(default="continuous", metadata=LATER)
    """"paper" packs rows bit for bit as the paper's code does: duplicates stay, what is left after
    each 1,000 documents is dropped, and with BERT's tokenizer [CLS] stands for both markers; only
    for text that is streamed"""
    tokenizer: str = "bpe"
    """"bpe" or "char", trained on the training split; the path of a tokenizer.json or vocab.txt; or
    a Hub id"""
    vocab_size: int = 512
    """tokens of a trained "bpe" tokenizer; not used by the others"""
    seq_len: int = 128
    """tokens in a row, [BOS] and [EOS] included"""
    test_share: float = 0.1
    """share of documents held out"""
    seed: int = 0
    """of the one shuffle"""

    def __post_init__(self) -> None:
        _within(self, 0, 2**63, "seed")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of the diffusion transformer."""

    hidden_size: int = 256
    """width of the residual stream"""
    n_blocks: int = 8
    """transformer blocks"""
    n_heads: int = 8
    """attention heads"""
    cond_dim: int = 128
    """width of the noise-level embedding"""
    dropout: float = 0.1
    """in the residual branches while training"""

    def __post_init__(self) -> None:
        _positive(self, "hidden_size", "n_blocks", "n_heads", "cond_dim")
        _within(self, 0, 1, "dropout")
        if self.hidden_size % (2 * self.n_heads):
            raise AttractorError(
                f"hidden_size = {self.hidden_size} must be a multiple of 2 n_heads = "
                f"{2 * self.n_heads}"
            )


MODELS = {
    "demo": ModelConfig(hidden_size=64, n_blocks=3, n_heads=4, cond_dim=32, dropout=0.0),
    "tiny": ModelConfig(hidden_size=256, n_blocks=8, n_heads=8),
    "small": ModelConfig(hidden_size=768, n_blocks=12, n_heads=12),
    "medium": ModelConfig(hidden_size=1024, n_blocks=24, n_heads=16),
}
"""Shapes by name: the demo's, and those of the paper."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Steps on the NELBO."""

    steps: int = 1_000_000
    """optimizer steps"""
    batch_size: int = 512
    """rows in a step"""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """"muon" makes the steps of hidden matrices orthogonal and uses AdamW for the rest: about half
    as many steps on small models"""
    lr: float = 3e-4
    """peak learning rate"""
    warmup: int = 2_500
    """steps of linear warm-up"""
    decay: Literal["constant", "cosine"] = "constant"
    """learning rate after the warm-up; "cosine" ends at a hundredth of the peak"""
    betas: tuple[float, float] = (0.9, 0.999)
    """of AdamW"""
    weight_decay: float = 0.0
    """of AdamW"""
    micro_batch: int = 0
    """rows in one forward and backward pass, whose gradients add up to those of the batch; 0 is the
    whole batch, halved for as long as it does not fit into memory"""
    clip: float = 1.0
    """largest gradient norm"""
    ema: float = 0.9999
    """decay of the averaged weights, ramped up as (1 + step) / (10 + step)"""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16 runs the network under autocast; weights and loss stay in float32"""
    compile: bool = False
    """compile the network's blocks with torch.compile: a minute at the start, meant for GPUs (a CPU
    gains nothing)"""
    t_min: float = 1e-3
    """smallest training time"""
    time_power: float = 1.0
    """times are t = u ** time_power with u uniform, and weighted accordingly: 1 is uniform; 2
    estimates the same loss with less variance, which pays where training is short"""
    curriculum: Annotated[Literal["none", "duo"], tyro.conf.arg(aliases=("--curriculum",))] = "none"
    """"duo" starts with steps on softened Gaussian noise whose argmax is the noisy token, as the
    paper's models were trained; needs uniform noise"""
    curriculum_steps: int | None = None
    """steps of the curriculum; by default the first half of all"""
    log_every: int = 100
    """steps between lines of metrics.jsonl, which has one at every estimate, too"""
    validate_every: int = 5_000
    """steps between estimates of the validation NELBO"""
    validation_rows: int = 256
    """held-out rows of that estimate"""
    checkpoint_minutes: float = field(default=10.0, metadata=FREE)
    """most that is lost when the machine stops; a checkpoint is also saved at the best validation,
    at the end, and on Ctrl-C or SIGTERM"""
    shard: bool = field(default=False, metadata=FREE)
    """of several processes each holds a share of the weights, averages and moments (FSDP), for
    models too large for one device"""
    keep_checkpoints: int = field(default=2, metadata=FREE)
    """newest checkpoints kept beside the one of the best validation"""

    def __post_init__(self) -> None:
        _positive(self, "steps", "batch_size", "lr", "time_power", "clip", "t_min")
        _positive(self, "log_every", "validate_every", "validation_rows", "keep_checkpoints")
        _within(self, 0, 1, "t_min", "ema")
        _within(self, 0, math.inf, "warmup", "weight_decay", "lr", "clip", "time_power")
        _within(self, 0, math.inf, "checkpoint_minutes", "micro_batch")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise AttractorError(f"betas = {self.betas}: both must be in [0, 1)")
        if self.curriculum_steps is not None:
            _within(self, 0, self.steps + 1, "curriculum_steps")
            if self.curriculum == "none":
                raise AttractorError(
                    f"curriculum_steps = {self.curriculum_steps} needs a curriculum: set it to duo"
                )

    @property
    def curriculum_end(self) -> int:
        """The first step without a curriculum."""
        if self.curriculum == "none":
            return 0
        return self.steps // 2 if self.curriculum_steps is None else self.curriculum_steps


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """What is measured, on how much."""

    t: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """corruption times in (0, 1]"""
    rows: int = 500
    """training sequences; at most the smallest training set, so that they are the same rows at
    every size"""
    test_rows: int = 500
    """unseen sequences"""
    repeats: int = 1
    """independent corruptions of each row"""
    steps: int = 1_000
    """steps of the reverse process from t = 1"""
    entropy_t: float = 1e-5
    """time at which conditional entropy is measured"""
    nelbo_draws: int = 16
    """times per row in the estimate of the NELBO"""
    generated: int = 500
    """sequences the model writes by itself for the entropy gap"""
    measure: tuple[str, ...] = ()
    """what is measured, by the names of the documentation; "all" is everything, "generations" all
    that looks at the model's own text, and without a name it is what is on by default: all but
    ablation, recovery against the number of reverse steps"""
    basin_rows: int = 200
    """rows of each kind whose basin radius is found, at most those that are probed"""
    basin_rounds: int = 4
    """rounds of the bisection of the basin radius"""
    ablation_steps: tuple[int, ...] = (16, 64, 250, 1000, 2000)
    """reverse steps compared by the ablation, at the smallest t"""
    judge: str = "ngram"
    """of generative perplexity: "ngram" (Kneser-Ney, of unseen rows that are not probed) or the
    folder of a causal language model of Hugging Face"""
    seed: int = 0
    """of the counted noise"""

    def __post_init__(self) -> None:
        _positive(self, "repeats", "steps", "nelbo_draws", "basin_rounds")
        for name in ("rows", "test_rows", "generated", "basin_rows"):
            if getattr(self, name) < 2:
                raise AttractorError(
                    f"{name} = {getattr(self, name)}: an interval needs at least 2 sequences"
                )
        for t in (*self.t, self.entropy_t):
            if not 0 < t <= 1:
                raise AttractorError(f"t = {t} is outside (0, 1]")
        for name in ("t", "ablation_steps"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise AttractorError(
                    f"{name} = {values}: at least one value is needed, and none twice"
                )
        if min(self.ablation_steps) < 1:
            raise AttractorError(f"ablation_steps = {self.ablation_steps}: each must be at least 1")
        _within(self, 0, 2**63, "seed")


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """What is watched while a model trains."""

    every: int = 0
    """steps between checks; 0 is never"""
    rows: int = 16
    """training rows, unseen rows and own generations of a check"""
    t: float = 0.3
    """corruption time in (0, 1]"""
    steps: int = 32
    """steps of the reverse process from t = 1"""
    stop_after: int = 0
    """end the training at the onset of memorization: so many checks in a row whose recovery gap,
    training minus unseen, lies above zero with its interval; 0 is never"""
    track: Literal["none", "trackio", "wandb"] = field(default="none", metadata=FREE)
    """also stream every line of metrics there; needs the extra `track`"""

    def __post_init__(self) -> None:
        _positive(self, "steps")
        _within(self, 0, math.inf, "every", "stop_after")
        if self.rows < 2:
            raise AttractorError(f"rows = {self.rows}: an interval needs at least 2 sequences")
        if not 0 < self.t <= 1:
            raise AttractorError(f"t = {self.t} is outside (0, 1]")
        if self.stop_after and not self.every:
            raise AttractorError(f"stop_after = {self.stop_after} needs checks: set `every` too")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One model: trained on the first `n_train` rows, then measured."""

    n_train: int = 1_000
    """training rows"""
    seed: int = 0
    """of initialisation, data order and training noise"""
    process: ProcessName = "uniform"
    """what a noisy token is: any token, a mask, or a mixture of both"""
    uniform_share: float = 0.2
    """of a hybrid process: share of uniform noise where it is largest"""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    def __post_init__(self) -> None:
        if self.n_train < 1:
            raise AttractorError(f"n_train = {self.n_train} must be at least 1")
        _within(self, 0, 2**63, "seed")
        _check_share(self.uniform_share)
        _check_curriculum(self.process, self.train)


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Models over nested training sets."""

    sizes: tuple[float, ...]
    """training-set sizes: counts of rows, or fractions in (0, 1], where 1 is all of them"""
    seeds: tuple[int, ...] = (0,)
    """training seeds; each size is trained once for each"""
    process: ProcessName = "uniform"
    """what a noisy token is: any token, a mask, or a mixture of both"""
    uniform_share: float = 0.2
    """of a hybrid process: share of uniform noise where it is largest"""
    models: tuple[str, ...] = ()
    """named models (demo, tiny, small, medium), each trained at every size; none: the one that
    `model` describes"""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds", "models"):
            values = getattr(self, name)
            if not (values or name == "models") or len(set(values)) < len(values):
                raise AttractorError(f"{name} = {values}: at least one is needed, and none twice")
        if min(self.seeds) < 0:
            raise AttractorError(f"seeds = {self.seeds} must not be negative")
        if not all(0 < size < math.inf for size in self.sizes):
            raise AttractorError(f"sizes = {self.sizes} must be positive")
        _check_share(self.uniform_share)
        _check_curriculum(self.process, self.train)
        for name in self.models:
            if name not in MODELS:
                raise AttractorError(f"unknown model {name!r}; there are {', '.join(MODELS)}")

    def each_model(self) -> dict[str, SweepConfig]:
        """A sweep of each model by its name; that of a single model has none."""
        alone = {
            name: dataclasses.replace(self, models=(), model=MODELS[name]) for name in self.models
        }
        return alone or {"": self}
