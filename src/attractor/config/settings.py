"""Every setting, each default written once; frozen, hashed, and never handed to mathematics.

The text under each field is its help on the command line.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from attractor.types import AttractorError, ProcessName, did_you_mean

LATER = {"later": True}
"""Marks a setting that came after the first runs: it is part of a config's identity only where it
is not at its default, so that older runs keep their names."""
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


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise AttractorError unless a number can be the seed of counted noise."""
    if not 0 <= seed < 2**63:
        raise AttractorError(f"{name} = {seed} must be at least 0 and below 2^63")


def _check_share(uniform_share: float) -> None:
    if not 0 < uniform_share < 1:
        raise AttractorError(
            f"uniform_share = {uniform_share} is outside (0, 1); 0 is the absorbing process"
        )


def _check_repeats(data: DataConfig, n_train: int) -> None:
    most = max(data.repeat, default=0)
    if most > n_train:
        raise AttractorError(f"repeat = {most} is above the {n_train} rows of the training set")
    if data.repeat and data.copies >= n_train - 1:
        raise AttractorError(
            f"repeat = {data.repeat} of {data.repeat_rows} rows each are {data.copies:,} copies, "
            f"and the training set has n_train = {n_train:,} rows"
        )


def _check_curriculum(process: ProcessName, train: TrainConfig) -> None:
    if train.curriculum != "none" and process != "uniform":
        raise AttractorError(
            f"curriculum = {train.curriculum!r} needs process = 'uniform', not {process!r}"
        )


def _check_order(process: ProcessName, data: DataConfig, monitor: MonitorConfig) -> None:
    """Refuse what corrupts text where the process has no noise."""
    if process != "autoregressive":
        return
    if monitor.checks:
        raise AttractorError(
            f"monitor.every = {monitor.every}, monitor.at = {monitor.at}: checks restore "
            "corrupted text, and an autoregressive model has no noise to corrupt it with; give "
            "--monitor.every 0 --monitor.at: metrics.jsonl has its validation loss"
        )
    if data.repeat:
        raise AttractorError(
            f"repeat = {data.repeat}: what is measured of repeated rows restores corrupted "
            "text, and an autoregressive model has no noise to corrupt it with; leave it out: its "
            "prefix_extraction is of the training rows"
        )


def _check_monitor(monitor: MonitorConfig, train: TrainConfig) -> None:
    last = max(monitor.at, default=0)
    if last > train.steps:
        raise AttractorError(f"at = {last} is beyond the last step, {train.steps}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The text, and how it is cut into rows of tokens."""

    source: str = "bible"
    """Where the text comes from: "bible", the World English Bible, which is built in; the path of a
    .txt, .jsonl or .parquet file, also with .gz or .zst behind, or of a folder of those; a data set
    of the Hugging Face Hub, owner/name; or one of lm1b, openwebtext, wikitext and text8, followed
    by :PATH if its files are on this machine."""
    column: str = "text"
    """Name of the column that holds the text in .jsonl and .parquet files and in data sets."""
    subset: str = field(default="", metadata=LATER)
    """Which subset to take of a data set of the Hub that has several."""
    split: str = field(default="", metadata=LATER)
    """Which split of a data set of the Hub to train on; "train" unless given."""
    test_split: str = field(default="", metadata=LATER)
    """Which split of a data set of the Hub is unseen text; unless given, documents of the training
    split are held out."""
    revision: str = field(default="", metadata=LATER)
    """Branch, tag or commit of a data set of the Hub; the newest unless given."""
    wrap: Literal["continuous", "paper"] = field(default="continuous", metadata=LATER)
    """How documents are packed into rows: "continuous" lets nothing but the last incomplete row go;
    "paper" packs bit for bit as the paper's code does, where duplicates stay, the tokens left over
    after each 1,000 documents are dropped, and with BERT's tokenizer [CLS] stands for both markers.
    The latter is for text that is streamed."""
    rows: Literal["packed", "document"] = field(default="packed", metadata=LATER)
    """What a row is: "packed" joins documents and cuts them into full rows; "document" makes a row
    of each line or record, for short texts and sequences, with padding behind it that never moves
    and is counted nowhere. A document that is longer than a row is cut."""
    wrap_processes: int = field(default=1, metadata=LATER)
    """With "paper": how many processes packed the rows that are wanted, the num_proc of
    datasets.map. Each takes an equal share of the documents and drops its own left-over tokens, so
    this number belongs to the data; several need one more pass over the text, which counts its
    documents."""
    tokenizer: str = "bpe"
    """How text becomes tokens: "bpe" (byte-level byte pairs) or "char" (characters) trains a
    tokenizer on the training split; the path of a tokenizer.json or vocab.txt, or the Hub id of a
    model, takes a ready one."""
    markers: tuple[str, str] | None = field(default=None, metadata=LATER)
    """Which tokens of a ready tokenizer mark the beginning and the end, such as <|begin_of_text|>
    and <|end_of_text|>; needed where it has none of the usual ones."""
    vocab_size: int = 512
    """Number of different tokens of a trained "bpe" tokenizer, at least 259; the others do not use
    it."""
    seq_len: int = 128
    """Tokens in a row, the markers [BOS] and [EOS] included; at least 4."""
    test_share: float = 0.1
    """Share of the documents that is held out as unseen text, between 0 and 1; not used where the
    source has unseen text of its own."""
    seed: int = 0
    """Seed of the split into training and unseen text and of the order of the rows; with 1 the
    order of streamed rows is that of the paper's code, shuffle(seed=1)."""
    group: str = field(default="", metadata=LATER)
    """Name of a column of .jsonl and .parquet files that tells which documents belong together,
    such as an author; without it the groups are the books of the Bible, and the files of a
    folder."""
    split_by: Literal["document", "group"] = field(default="document", metadata=LATER)
    """What is held out as unseen text: single documents, or whole groups."""
    order: int = field(default=0, metadata=LATER)
    """Another order of the same training rows, so that training sets of the same size are other
    rows; 0 is the one of `seed`. The split, the tokenizer and the unseen text stay."""
    repeat: tuple[int, ...] = field(default=(), metadata=LATER)
    """How often rows are to be repeated in the training set, each number for rows of its own, to
    see how many repeats it takes until a model knows a row by heart. The copies take the places of
    the last rows of the training set."""
    repeat_rows: int = field(default=16, metadata=LATER)
    """Rows that are repeated each of these numbers of times."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _positive(self, "wrap_processes")
        if self.wrap_processes > 1 and self.wrap != "paper":
            raise AttractorError(
                f"wrap_processes = {self.wrap_processes} is for the rows of the paper's code: set "
                "wrap to paper"
            )
        if self.rows == "document" and self.wrap == "paper":
            raise AttractorError("wrap = 'paper' packs documents: it makes no rows = 'document'")
        check_seed(self.order, "order")
        if len(set(self.repeat)) < len(self.repeat) or min(self.repeat, default=1) < 1:
            raise AttractorError(
                f"repeat = {self.repeat}: numbers of copies, each at least 1, and none twice"
            )
        if self.repeat_rows < 2:
            raise AttractorError(f"repeat_rows = {self.repeat_rows}: an interval needs at least 2")

    @property
    def copies(self) -> int:
        """Rows of the training set that are copies of repeated rows; 0 where none is repeated."""
        return self.repeat_rows * sum(self.repeat)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of the diffusion transformer."""

    hidden_size: int = 256
    """Width of the residual stream, a multiple of twice the number of heads."""
    n_blocks: int = 8
    """Number of transformer blocks."""
    n_heads: int = 8
    """Number of attention heads in a block."""
    cond_dim: int = 128
    """Width of the embedding of the noise level."""
    dropout: float = 0.1
    """Share of each residual branch's entries that training sets to zero, from 0 up to but not
    including 1."""

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
    "reference": ModelConfig(hidden_size=128, n_blocks=3, n_heads=4, cond_dim=16, dropout=0.0),
    "tiny": ModelConfig(hidden_size=256, n_blocks=8, n_heads=8),
    "small": ModelConfig(hidden_size=768, n_blocks=12, n_heads=12),
    "medium": ModelConfig(hidden_size=1024, n_blocks=24, n_heads=16),
}
"""Shapes by name: those of the demo and of the reference sweep, and those of the paper."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained: by steps that make the NELBO, a bound on the nats per token,
    smaller."""

    steps: int = 1_000_000
    """Number of optimizer steps."""
    batch_size: int = 512
    """Rows in a step, over all processes."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """What turns gradients into steps: "adamw"; or "muon", which makes the steps of hidden matrices
    orthogonal and uses AdamW for all other weights, and needs about half as many steps on small
    models."""
    lr: float = 3e-4
    """Peak learning rate, reached at the end of the warm-up."""
    warmup: int = 2_500
    """Steps over which the learning rate rises linearly to its peak; 0 is none."""
    decay: Literal["constant", "cosine"] = "constant"
    """The learning rate after the warm-up: "constant" keeps the peak, "cosine" falls to a hundredth
    of it at the last step."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decays of the two moments of AdamW, each from 0 up to but not including 1."""
    weight_decay: float = 0.0
    """Decoupled weight decay: every step takes this share, times the learning rate, off each
    weight."""
    micro_batch: int = 0
    """Rows in one forward and backward pass; the gradients of all passes of a step add up to those
    of its batch. 0 takes the whole batch at once, and half of it for as long as it does not fit
    into memory."""
    clip: float = 1.0
    """Largest norm of the gradient; a larger gradient is scaled down to it."""
    ema: float = 0.9999
    """Decay, for each step, of the averaged weights, which are those that are measured; it is
    ramped up as (1 + step) / (10 + step)."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision in which the network computes; with "bf16" weights and loss stay in float32."""
    compile: bool = False
    """Compile the network's blocks with torch.compile. That takes a minute at the start and is
    meant for GPUs; a CPU gains nothing."""
    t_min: float = 1e-3
    """Smallest time t at which the network is trained, between 0 and 1; t = 0 is clean text, t = 1
    nothing but noise."""
    time_power: float = 1.0
    """Training times are t = u ** time_power with u uniform, and weighted so that the loss stays
    the same: 1 draws t uniformly; 2 estimates the loss with less variance, which pays where
    training is short."""
    curriculum: Annotated[Literal["none", "duo"], tyro.conf.arg(aliases=("--curriculum",))] = "none"
    """What the first steps see: "duo" shows softened Gaussian noise whose largest entry is the
    noisy token, as the paper's models were trained, and needs uniform noise; "none" shows noisy
    tokens from the beginning."""
    curriculum_steps: int | None = None
    """Steps of the curriculum; by default the first half of all."""
    log_every: int = 100
    """Steps between two lines of metrics.jsonl, which also has a line for every estimate."""
    validate_every: int = 5_000
    """Steps between two estimates of the NELBO of unseen rows."""
    validation_rows: int = 256
    """Unseen rows of that estimate."""
    checkpoint_minutes: float = field(default=10.0, metadata=FREE)
    """Minutes between two checkpoints, and so the most that is lost when the machine stops. One is
    also saved at the best validation, at the end, and on Ctrl-C or SIGTERM."""
    shard: bool = field(default=False, metadata=FREE)
    """Let each of several processes hold a share of the weights, averages and moments (FSDP), for
    models too large for one device."""
    keep_checkpoints: int = field(default=2, metadata=FREE)
    """How many of the newest checkpoints are kept, beside the one of the best validation."""

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
    """What is measured on a trained model, and on how much text."""

    t: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """Times at which sequences are corrupted before the model restores them, each above 0 and at
    most 1: at time t about a share t of the tokens is noise."""
    rows: int = 500
    """Training sequences that are measured: the first so many rows, which are the same at every
    training-set size; a training set of fewer rows is measured whole."""
    test_rows: int = 500
    """Unseen sequences that are measured."""
    repeats: int = 1
    """How often each sequence is corrupted, each time with noise of its own."""
    steps: int = 1_000
    """Steps of the reverse process from t = 1 to 0; a sequence corrupted at t takes about t times
    as many."""
    entropy_t: float = 1e-5
    """Time at which the conditional entropy is measured, above 0 and at most 1; near 0 it is the
    entropy, in nats, of a token given all others."""
    nelbo_draws: int = 16
    """Times at which each sequence is looked at in the estimate of the NELBO."""
    generated: int = 500
    """Sequences that the model writes by itself, whose entropy is compared with that of training
    and of unseen text."""
    measure: tuple[str, ...] = ()
    """What is measured, by the names of the documentation. "all" stands for everything, and
    "generations" for all that is asked of the model's own text. Without a name it is all but
    "ablation", which measures recovery for several numbers of reverse steps, "extraction", which
    tries to bring back rows from a part of them, and "repetition", which is measured where the data
    have repeated rows."""
    basin_rows: int = 200
    """Sequences of each kind, training and unseen, whose basin radius is found; at most those that
    are measured."""
    basin_rounds: int = 4
    """Rounds of the bisection of the basin radius; r rounds find the corruption time to 2^-r."""
    ablation_steps: tuple[int, ...] = (16, 64, 250, 1000, 2000)
    """Numbers of reverse steps that the ablation compares, at the smallest corruption time."""
    judge: str = "ngram"
    """The language model that judges the model's own text (generative perplexity): "ngram", which
    is fitted by Kneser-Ney smoothing to unseen rows that are not measured, or the folder of a
    causal language model of Hugging Face."""
    judge_digest: Annotated[str, tyro.conf.Suppress] = field(default="", metadata=LATER)
    """Digest of the files of that folder, found when it is asked: another model in a folder of the
    same name is another judge."""
    planted_rows: int = field(default=200, metadata=LATER)
    """Rows that are measured at most of those that the data repeat, all numbers of copies alike."""
    extraction_rows: int = field(default=32, metadata=LATER)
    """Sequences of each kind, training and unseen, of which a part is to be brought back from the
    other; at most those that are measured."""
    extraction_falls: int = field(default=8, metadata=LATER)
    """Independent runs of the reverse process that try to bring back each of them."""
    seed: int = 0
    """Seed of all noise of the measurements."""
    resample: Literal["auto", "sequence", "group"] = field(default="auto", metadata=LATER)
    """What intervals resample: "sequence", or "group", such as the rows of one book together;
    "auto" takes groups where rows of one are so alike that intervals over sequences would be too
    short by more than a fifth (a design effect above 1.5)."""

    def __post_init__(self) -> None:
        _positive(self, "repeats", "steps", "nelbo_draws", "basin_rounds", "extraction_falls")
        words = self.measure if isinstance(self.measure, (tuple, list)) else [None]
        if not all(isinstance(word, str) for word in words):
            raise AttractorError(f"measure = {self.measure!r}: names of measurements are wanted")
        for name in (
            "rows",
            "test_rows",
            "generated",
            "basin_rows",
            "planted_rows",
            "extraction_rows",
        ):
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
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """What is watched while a model trains: small checks of whether training text begins to return
    better than unseen text."""

    every: int = 0
    """Steps between two checks; 0 is never."""
    at: tuple[int, ...] = field(default=(), metadata=LATER)
    """Steps after which there is a check as well; each about as many times the one before it, as
    100 200 400 800, shows over training time when memorization begins, at every training-set
    size."""
    rows: int = 16
    """Training rows, unseen rows and sequences written by the model itself in a check, this many of
    each; at least 2."""
    t: float = 0.3
    """Time at which rows are corrupted in a check, above 0 and at most 1."""
    steps: int = 32
    """Steps of the reverse process from t = 1 to 0 in a check."""
    stop_after: int = 0
    """End the training when a recovery gap has opened, which is this many checks in a row that find
    training rows restored more often than unseen ones, beyond the 95% interval of the difference;
    memorization, a basin advantage above 1/2, comes later. 0 is never."""
    track: Literal["none", "trackio", "wandb"] = field(default="none", metadata=FREE)
    """Where every line of metrics is sent, beside the file on disk; anything but "none" needs the
    extra `track`."""

    def __post_init__(self) -> None:
        _positive(self, "steps")
        _within(self, 0, math.inf, "every", "stop_after")
        if self.rows < 2:
            raise AttractorError(f"rows = {self.rows}: an interval needs at least 2 sequences")
        if not 0 < self.t <= 1:
            raise AttractorError(f"t = {self.t} is outside (0, 1]")
        if len(set(self.at)) < len(self.at) or min(self.at, default=1) < 1:
            raise AttractorError(f"at = {self.at}: steps begin with 1, and none comes twice")
        if self.stop_after and not self.checks:
            raise AttractorError(
                f"stop_after = {self.stop_after} needs checks: set `every` or `at` too"
            )

    @property
    def checks(self) -> bool:
        """Whether there is any check."""
        return self.every > 0 or bool(self.at)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One model: trained on the first `n_train` rows, then measured."""

    n_train: int = 1_000
    """Number of training rows: the first so many of the shuffled corpus."""
    seed: int = 0
    """Seed of the initial weights, the order of the data and the noise of training."""
    process: ProcessName = "uniform"
    """What noise makes of a token: any token ("uniform"), a mask ("absorbing"), or one or the other
    ("hybrid"); or "autoregressive", no noise: the same network, with a causal mask, learns the next
    token, and what needs noise is not measured."""
    uniform_share: float = 0.2
    """Share of uniform noise in a hybrid process, at the noise level where it is largest; between 0
    and 1."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    def __post_init__(self) -> None:
        if self.n_train < 1:
            raise AttractorError(f"n_train = {self.n_train} must be at least 1")
        _check_repeats(self.data, self.n_train)
        check_seed(self.seed)
        _check_share(self.uniform_share)
        _check_curriculum(self.process, self.train)
        _check_order(self.process, self.data, self.monitor)
        _check_monitor(self.monitor, self.train)


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Models over nested training sets."""

    sizes: tuple[float, ...]
    """Training-set sizes, each either a number of rows or a fraction of all rows, above 0 and at
    most 1, where 1 is all of them."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of training; a model is trained for every size, every seed and every data seed."""
    seeds_at: tuple[int, ...] = field(default=(), metadata=LATER)
    """Sizes in rows at which every seed trains a model, such as those around the transition; at the
    others only the first seed does. All sizes unless given."""
    data_seeds: tuple[int, ...] = field(default=(), metadata=LATER)
    """Orders of the training rows, see `order` of the data: with others a training set of the same
    size is other rows. Unless given, the one order that the settings of the data name."""
    process: ProcessName = "uniform"
    """What noise makes of a token: any token ("uniform"), a mask ("absorbing"), or one or the other
    ("hybrid"); or "autoregressive", no noise: the same network, with a causal mask, learns the next
    token, and what needs noise is not measured."""
    uniform_share: float = 0.2
    """Share of uniform noise in a hybrid process, at the noise level where it is largest; between 0
    and 1."""
    models: tuple[str, ...] = ()
    """Named shapes of models (demo, reference, tiny, small, medium), each of which is trained at
    every size; unless given, the one shape that the settings of the model describe."""
    margin: float = field(default=2.0, metadata=LATER)
    """Largest ratio, above 1, of two places in n that still agree, such as that of recovery and
    that of entropy: named before anything is measured."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds", "seeds_at", "data_seeds", "models"):
            values = getattr(self, name)
            if not (values or name not in ("sizes", "seeds")) or len(set(values)) < len(values):
                raise AttractorError(f"{name} = {values}: at least one is needed, and none twice")
        for seed in self.seeds:
            check_seed(seed, "seeds")
        for order in self.data_seeds:
            check_seed(order, "data_seeds")
        elsewhere = [size for size in self.seeds_at if size not in self.sizes]
        if elsewhere:
            raise AttractorError(
                f"seeds_at = {elsewhere[0]:g} is none of the sizes, which are "
                f"{', '.join(f'{size:g}' for size in self.sizes)}: give --seeds-at some of these, "
                "or nothing"
            )
        if not all(0 < size < math.inf for size in self.sizes):
            raise AttractorError(f"sizes = {self.sizes} must be positive")
        # Of sizes that are shares of the corpus it is known only when that has been packed.
        counts = [int(size) for size in self.sizes if size > 1]
        if counts:
            _check_repeats(self.data, min(counts))
        if not 1 < self.margin < math.inf:
            raise AttractorError(
                f"margin = {self.margin} must be above 1: it is the largest ratio of two places "
                "that agree"
            )
        _check_share(self.uniform_share)
        _check_curriculum(self.process, self.train)
        _check_order(self.process, self.data, self.monitor)
        _check_monitor(self.monitor, self.train)
        for name in self.models:
            if name not in MODELS:
                raise AttractorError(
                    f"unknown model {name!r}; there are {', '.join(MODELS)}"
                    f"{did_you_mean(name, MODELS)}"
                )

    @property
    def orders(self) -> tuple[int, ...]:
        """The orders of the training rows."""
        return self.data_seeds or (self.data.order,)

    def seeds_of(self, size: float) -> tuple[int, ...]:
        """The seeds that train a model at one of the sizes."""
        return self.seeds if not self.seeds_at or size in self.seeds_at else self.seeds[:1]

    @property
    def runs_each(self) -> int:
        """Runs of each model, at the sizes with most of them."""
        return len(self.orders) * len(self.seeds)

    @property
    def runs(self) -> int:
        """Runs of each model, at all sizes together."""
        return len(self.orders) * sum(len(self.seeds_of(size)) for size in self.sizes)

    def each_model(self) -> dict[str, SweepConfig]:
        """One sweep for each named model, by its name; a sweep without named models is itself the
        only one, under an empty name."""
        alone = {
            name: dataclasses.replace(self, models=(), model=MODELS[name]) for name in self.models
        }
        return alone or {"": self}
