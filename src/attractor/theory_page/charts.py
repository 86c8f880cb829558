"""The figures of the theory page, in the visual language of the sweep report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attractor.report import words
from attractor.report.axes import QUARTERS, plane, share_axis
from attractor.report.curves import (
    Line,
    draw_lines,
    label,
    name_and_split,
    name_of,
    name_tag,
    span,
    split_keys,
    stroke,
)
from attractor.report.figures import (
    DASHES,
    INK,
    MUTED,
    PALETTE,
    SYMBOLS,
    Figure,
    Key,
    Panel,
    Style,
    finish,
)
from attractor.theory_page.control_charts import controls
from attractor.theory_page.view import Theory


def _seeds(theory: Theory) -> str:
    k = len(theory.seeds)
    if k == 1:
        return "One seed, so no interval."
    return f"Means over {k} seeds; bands: Student's 95% intervals over seeds."


def _rule_style(rules: Sequence[str], marked: bool = True) -> Callable[[Line], Style]:
    """Each memory has its colour. Of memories whose curves lie on top of one another some are
    dashed, so that all can be seen."""
    dashes = {"dense, exponential": "7px,4px", "modern Hopfield": "1.5px,3.5px"}

    def style(line: Line) -> Style:
        i = rules.index(line.name)
        symbol = SYMBOLS[i % len(SYMBOLS)] if marked else None
        return Style(PALETTE[i % len(PALETTE)], dashes.get(line.name, "solid"), symbol, 2.0)

    return style


def retrieval(theory: Theory) -> Figure:
    """Overlap after retrieval against the flipped share, with one plot for each load."""
    rules = [line.name for line in theory.radius]
    style = _rule_style(rules, marked=False)
    panels: list[Panel] = []
    for load, lines in theory.retrieval:
        y_title = f"overlap after retrieval at load {load:g}"
        figure = plane("flipped share of the spins", y_title, (-0.01, 0.51), log=False)
        draw_lines(figure, lines, style, name_of, words.decimal)
        # Overlaps of what is not retrieved scatter around 0, also below it.
        figure.update_yaxes(range=[-0.08, 1.04], tickvals=list(QUARTERS))
        title = f"Overlap at load {load:g} against the flipped share"
        said = label(title, lines, name_of, words.decimal)
        panels.append(Panel(id=f"retrieval-{len(panels)}", label=said, spec=finish(figure)))
    return Figure(
        id="retrieval",
        title="Retrieval after corruption",
        read="Spins of a stored pattern are flipped, the network runs until nothing moves, and the "
        "overlap with the pattern is taken: 1 is the pattern itself. Where a line leaves 1 is the "
        "edge of the basin. No energy is put into pseudo-likelihood couplings: each spin learns by "
        "itself to follow the others, and there are basins all the same.",
        assumed=f"N = {theory.n} spins, random patterns, synchronous updates at zero temperature. "
        f"{_seeds(theory)}",
        keys=tuple(
            Key(tag=name_tag(rule), label=rule, style=style(Line(name=rule, points=())))
            for rule in rules
        ),
        panels=tuple(panels),
    )


def radius(theory: Theory) -> Figure:
    """Basin radius against load, with what the margin alone promises."""
    rules = [line.name for line in theory.radius]
    rule_style = _rule_style(rules)
    floors = {
        line.name: Style(INK, dash, None, 1.6)
        for line, dash in zip(theory.floors, ("7px,4px", "1.5px,3.5px"), strict=True)
    }

    def style(line: Line) -> Style:
        return floors.get(line.name) or rule_style(line)

    lines = (*theory.radius, *theory.floors)
    x_title, y_title = "load P/N, patterns per spin (log scale)", "basin radius, flipped share"
    figure = plane(x_title, y_title, span(lines), log=True)
    draw_lines(figure, lines, style, name_of, words.percent)
    figure.update_yaxes(**share_axis(0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    title = "Basin radius against load"
    return Figure(
        id="radius",
        title=title,
        read="The radius is the largest share of flipped spins from which a pattern returns with "
        "95% of its spins right. Pseudo-likelihood keeps its basins at loads where Hebb's "
        "couplings have lost theirs, because it weighs each pattern by its margin. The dashed line "
        "is what the largest possible margin promises after one step for random flips; the dotted "
        "line what it promises for flips chosen as badly as can be.",
        assumed="Dashed: 5% of the spins are wrong after one step if every margin is Gardner's. "
        "Dotted: flipping a share \u03c1 takes at most 2|J|\u221a(\u03c1N) from a field "
        "(Cauchy-Schwarz), so every corruption with \u03c1 < (k/2)\u00b2 is put right, k being the "
        "margin as a cosine: Gardner's divided by \u221aN. The table gives this for the margins "
        f"measured. {_seeds(theory)}",
        keys=tuple(
            Key(tag=name_tag(line.name), label=line.name, style=style(line)) for line in lines
        ),
        panels=(
            Panel(
                id="radius-plot",
                label=label(title, lines, name_of, words.percent),
                spec=finish(figure),
            ),
        ),
    )


_TRAINED = {"lowest": "solid", "median": "7px,4px", "Gardner": "1.5px,3.5px"}
"""Dashes of the margins of which the curves over training are made."""


def training(theory: Theory) -> Figure:
    """Margins while pseudo-likelihood is trained: the lowest against Gardner's bound, and their
    density at one load."""
    loads = list(dict.fromkeys(line.name for line in theory.training))
    keys = [
        Key(
            tag=name_tag(load),
            label=f"load {load}",
            style=Style(PALETTE[i % len(PALETTE)], "none", SYMBOLS[i % len(SYMBOLS)]),
        )
        for i, load in enumerate(loads)
    ]
    names = {
        "lowest": "lowest margin",
        "median": "median margin",
        "Gardner": "largest possible (Gardner)",
    }
    keys += [
        Key(tag=s, label=name, style=Style(INK, _TRAINED[s], None)) for s, name in names.items()
    ]
    return Figure(
        id="training",
        title="Margins over training",
        read="The margin of a spin is its field in a stored pattern, in units of the length of its "
        "couplings. The first step is Hebb's rule. Later steps are Hebbian too, each pattern "
        "weighted by 1 minus the tanh of its margin, so that what is least safe is stored again: "
        "the lowest margin rises towards the largest possible one.",
        assumed=f"Pseudo-likelihood couplings, N = {theory.n}; Gardner's value is that of "
        "infinitely many spins. The densities on the right are those of one seed. "
        f"{_seeds(theory)}",
        keys=tuple(keys),
        panels=(_margin_plot(theory, loads), _density_plot(theory)),
    )


def _margin_plot(theory: Theory, loads: Sequence[str]) -> Panel:
    def style(line: Line) -> Style:
        i = loads.index(line.name)
        symbol = SYMBOLS[i % len(SYMBOLS)] if line.split == "lowest" else None
        width = 1.4 if line.split == "Gardner" else 2.0
        return Style(PALETTE[i % len(PALETTE)], _TRAINED[line.split], symbol, width)

    def title_of(line: Line) -> str:
        which = "largest possible" if line.split == "Gardner" else line.split
        return f"load {line.name}, {which}"

    y_title = "margin of a spin in a stored pattern"
    figure = plane("training step (log scale)", y_title, span(theory.training), log=True)
    draw_lines(figure, theory.training, style, title_of, words.decimal)
    figure.add_hline(y=0, line={"color": MUTED, "width": 1}, layer="below")
    said = label("Margins against training step", theory.training, title_of, words.decimal)
    return Panel(id="training-plot", label=said, spec=finish(figure))


def _density_plot(theory: Theory) -> Panel:
    # The histograms are much wider than what is in them.
    seen = [x for line in theory.density for x, y in line.points if y.value > 0.01]
    y_title = f"density of margins at load {theory.density_load:g}"
    figure = plane("margin", y_title, (min(seen), max(seen)), log=False)
    # From pale to dark as training goes on; the last step is the darkest.
    shades = (0.25, 0.45, 0.7, 1.0)
    for line, opacity in zip(theory.density, shades[-len(theory.density) :], strict=True):
        trace = stroke(line, Style(INK, "solid", None, 1.9), [], f"step {line.name}", words.decimal)
        figure.add_trace(trace.update(opacity=opacity))
        x, top = max(((x, y.value) for x, y in line.points), key=lambda at: at[1])
        figure.add_annotation(
            x=x,
            y=top,
            text=f"step {line.name}",
            xanchor="left",
            xshift=6,
            showarrow=False,
            font={"size": 12, "color": INK},
        )
    figure.update_yaxes(rangemode="tozero")
    said = (
        f"Density of margins at load {theory.density_load:g}, after {len(theory.density)} numbers "
        "of steps."
    )
    return Panel(id="density-plot", label=said, spec=finish(figure))


_FEATURES = Style(PALETTE[5], "10px,3px,2px,3px", "diamond-open")


def generalization(theory: Theory) -> Figure:
    """Overlap of training and unseen patterns against P/D in spins; beside it, where a network was
    trained, its recovery against n."""
    network = tuple(line for line in theory.recovery if line.name == "network")
    beside = (
        " On the right a diffusion model of sequences goes the same way as its training set grows."
    )
    data = [line for line in theory.manifold if line.split != "features"]
    return Figure(
        id="generalization",
        title="From memorization to generalization",
        read="All patterns are mixtures of three of a few shared features. With few patterns per "
        "feature the network holds each of them and knows no others; with many it can no longer "
        "hold them, and what it stores instead are the features, so that an unseen mixture is as "
        "good as a trained one: the solid line falls, the dashed line rises, and they "
        "meet." + (beside if network else ""),
        assumed=f"Random-features model, N = {theory.n} spins, 0.3 N features, 10% of the spins "
        f"flipped, pseudo-likelihood couplings. {_seeds(theory)}",
        keys=(
            *split_keys(data, {"train": "training", "test": "unseen"}),
            Key(tag="features", label="features", style=_FEATURES),
        ),
        panels=(_manifold_plot(theory), *([_network_plot(network)] if network else [])),
    )


def _data_style(line: Line) -> Style:
    """The look of training, unseen and feature patterns, the same in both plots."""
    if line.split == "features":
        return _FEATURES
    return Style(INK, DASHES[line.split], "circle" if line.split == "train" else "circle-open")


def _manifold_plot(theory: Theory) -> Panel:
    def title_of(line: Line) -> str:
        return {"train": "training patterns", "test": "unseen patterns"}.get(line.split, line.split)

    x_title = "training patterns per feature, P/D (log scale)"
    figure = plane(x_title, "overlap after retrieval, spins", span(theory.manifold), log=True)
    draw_lines(figure, theory.manifold, _data_style, title_of, words.decimal)
    figure.update_yaxes(range=[-0.02, 1.04], tickvals=list(QUARTERS))
    said = label("Overlap against P/D", theory.manifold, title_of, words.decimal)
    return Panel(id="spins-plot", label=said, spec=finish(figure))


def _network_plot(lines: Sequence[Line]) -> Panel:
    y_title = "corrupted tokens that return, sequences"
    figure = plane("training sequences n (log scale)", y_title, span(lines), log=True)
    draw_lines(figure, lines, _data_style, name_and_split, words.percent)
    figure.update_yaxes(**share_axis())
    said = label("Recovery of the network against n", lines, name_and_split, words.percent)
    return Panel(id="network-plot", label=said, spec=finish(figure))


def all_figures(theory: Theory) -> list[Figure]:
    """Return the figures in the order of the page."""
    return [
        retrieval(theory),
        radius(theory),
        training(theory),
        generalization(theory),
        *controls(theory),
    ]
