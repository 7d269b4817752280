"""Predictions of nodes along their sequences: classes as bands, numbers as lines."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from gia.analysis.figures import BLUE, GREY, ink, with_unit

PLACES = 80  # residues of a line
MOST_PLACES = 320  # of a sequence that is drawn; of a longer one the beginning
UNKNOWN = "#d4d7db"  # where the target is not known
RIGHT, WRONG = GREY, "#b2182b"  # no class is drawn in these
# After Okabe and Ito, whose colours the colour-blind tell apart.
CLASSES = (
    *("#56b4e9", "#e69f00", "#009e73", "#f0e442"),
    *("#cc79a7", "#0072b2", "#d55e00", "#333333"),
)
# Middles of the rows of a line of classes, above the bars of probabilities, which end at 1.
PREDICTED, TRUE, RESIDUES, TOP = 1.65, 2.55, 3.4, 3.9
HEIGHT = 0.8  # of a row of classes
LETTERS = {"ha": "center", "va": "center_baseline", "fontsize": 6}


@dataclass
class Track:
    """What is said of one target of the L nodes of a sequence, and what is known.

    Attributes:
        name (str): Of the sequence.
        labels (list of str): Its residues, ``[L]``.
        target (Tensor): NaN where it is not known, ``[L]``.
        output (Tensor): Numbers ``[L]``, or probabilities of classes ``[L, C]``.
        lower, upper (Tensor, optional): The ends of intervals of numbers, ``[L]``.
    """

    name: str
    labels: list[str]
    target: Tensor
    output: Tensor
    lower: Tensor | None = None
    upper: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """Where the target is known, ``[L]``."""
        return ~self.target.isnan()

    @property
    def right(self) -> Tensor:
        """Of classes, where the likeliest one is the true one, ``[L]``."""
        return self.output.argmax(1) == self.target.nan_to_num(-1).long()

    @property
    def error(self) -> float:
        """The share of wrong classes, or the mean absolute error of numbers, where one is known;
        NaN where none is."""
        if self.output.dim() == 2:
            return float((~self.right)[self.known].double().mean())
        return float((self.output - self.target)[self.known].abs().double().mean())

    @property
    def shown(self) -> int:
        """How many residues are drawn."""
        return min(len(self.labels), MOST_PLACES)


def class_tracks(chains: Sequence[Track], class_names: Sequence[str], title: str = "") -> Figure:
    """True and predicted classes of each residue, over bars as high as the probability that the
    predicted one is said to have: red where it is wrong.

    Args:
        chains (list of Track): With probabilities.
        class_names (list of str): ``[C]``; written on the residues where they are letters.
        title (str): Over the whole figure.
    """
    colours = _colours(len(class_names))
    letters = all(len(name) == 1 for name in class_names)

    def draw(axes: Axes, chain: Track, part: slice) -> None:
        places = range(len(chain.labels))[part]
        sure, chosen = (values.tolist() for values in chain.output[part].max(1))
        known, right = chain.known[part].tolist(), chain.right[part].tolist()
        true = [
            int(index) if is_known else None
            for index, is_known in zip(chain.target[part].tolist(), known, strict=True)
        ]
        judged = [
            (RIGHT if is_right else WRONG) if is_known else UNKNOWN
            for is_right, is_known in zip(right, known, strict=True)
        ]
        axes.bar(places, sure, 0.9, color=judged, linewidth=0)
        for middle, classes in ((PREDICTED, chosen), (TRUE, true)):
            fill = [UNKNOWN if index is None else colours[index] for index in classes]
            axes.bar(places, HEIGHT, 1, middle - HEIGHT / 2, color=fill, linewidth=0)
            for place, index, colour in zip(places, classes, fill, strict=True):
                if letters and index is not None:
                    axes.text(place, middle, class_names[index], color=ink(colour), **LETTERS)
        for place, label in zip(places, chain.labels[part], strict=True):
            axes.text(place, RESIDUES, _letter(label), **LETTERS)
        ticks = {0: "0", 1: "1", PREDICTED: "predicted", TRUE: "true", RESIDUES: "residue"}
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.set_ylim(0, TOP)

    def judge(chain: Track) -> str:
        return f"{1 - chain.error:.0%} of {int(chain.known.sum()):,} known residues right"

    legend = [Patch(color=of, label=name) for of, name in zip(colours, class_names, strict=True)]
    legend += [
        Patch(color=RIGHT, label="probability, right"),
        Patch(color=WRONG, label="probability, wrong"),
        Patch(color=UNKNOWN, label="true class not known"),
    ]
    return _lines(chains, draw, judge, legend, title)


def number_tracks(
    chains: Sequence[Track],
    name: str,
    unit: str | None = None,
    title: str = "",
    *,
    confidence: float | None = None,
) -> Figure:
    """True and predicted numbers of each residue as lines, the predicted one with its interval.

    Args:
        chains (list of Track): With numbers.
        name (str): Of the target.
        unit (str, optional): Its unit.
        title (str): Over the whole figure.
        confidence (float, optional): Of the intervals.
    """

    def draw(axes: Axes, chain: Track, part: slice) -> None:
        places = range(len(chain.labels))[part]
        for place, known in zip(places, chain.known[part].tolist(), strict=True):
            if not known:
                axes.axvspan(place - 0.5, place + 0.5, color=UNKNOWN, alpha=0.6, linewidth=0)
        if chain.lower is not None:
            ends = chain.lower[part].tolist(), chain.upper[part].tolist()
            axes.fill_between(places, *ends, step="mid", color=BLUE, alpha=0.2, linewidth=0)
        style = {"drawstyle": "steps-mid", "linewidth": 1}
        axes.plot(places, chain.target[part].tolist(), color="black", **style)
        axes.plot(places, chain.output[part].tolist(), color=BLUE, **style)
        drawn = [chain.target, chain.output, chain.lower, chain.upper]
        values = torch.cat([one[: chain.shown].double() for one in drawn if one is not None])
        low, high = (float(end) for end in values[values.isfinite()].aminmax())
        room = 0.05 * (high - low) or 0.5
        axes.set_ylim(low - room, high + 5 * room)  # letters stand above
        for place, label in zip(places, chain.labels[part], strict=True):
            axes.text(place, high + 2.7 * room, _letter(label), **LETTERS)
        axes.set_ylabel("\n".join(textwrap.wrap(with_unit(name, unit), 18)), fontsize=7)

    def judge(chain: Track) -> str:
        error = f"{chain.error:.3g} {unit or ''}".strip()
        return f"mean absolute error {error} of {int(chain.known.sum()):,} known residues"

    lines = {"true": "black", "predicted": BLUE}
    legend = [Line2D([], [], color=color, label=label) for label, color in lines.items()]
    if any(chain.lower is not None for chain in chains):
        of = "" if confidence is None else f" of {confidence:.3g}"
        legend.append(Patch(color=BLUE, alpha=0.2, label=f"interval{of}"))
    legend.append(Patch(color=UNKNOWN, label="true value not known"))
    return _lines(chains, draw, judge, legend, title)


def _lines(
    chains: Sequence[Track],
    draw: Callable[[Axes, Track, slice], None],
    judge: Callable[[Track], str],
    legend: Sequence[Patch | Line2D],
    title: str,
) -> Figure:
    """A panel for each line of each sequence."""
    parts = [
        (chain, slice(start, min(start + PLACES, chain.shown)))
        for chain in chains
        for start in range(0, chain.shown, PLACES)
    ]
    figure = Figure(figsize=(11, 1.15 * len(parts) + 0.9), layout="constrained")
    grid = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    widest = max(min(chain.shown, PLACES) for chain in chains)
    for axes, (chain, part) in zip(grid, parts, strict=True):
        draw(axes, chain, part)
        axes.set_xlim(part.start - 1, part.start + widest)
        tens = [place for place in range(part.start, part.stop) if (place + 1) % 10 == 0]
        axes.set_xticks(tens, [str(place + 1) for place in tens])
        axes.tick_params(labelsize=7, length=2)
        axes.spines[["top", "right"]].set_visible(False)
        if part.start == 0:
            said = judge(chain)
            if chain.shown < len(chain.labels):
                said += f"; its first {chain.shown:,} of {len(chain.labels):,} are drawn"
            axes.set_title(f"{chain.name}: {said}", fontsize=9, loc="left")
    grid[-1].set_xlabel("residue", fontsize=8)
    figure.legend(handles=legend, loc="outside lower center", ncols=8, frameon=False, fontsize=7)
    figure.suptitle(title, fontsize=10)
    return figure


def _colours(number: int) -> list:
    if number <= len(CLASSES):
        return list(CLASSES[:number])
    return [colormaps["turbo"]((index + 0.5) / number) for index in range(number)]


def _letter(label: str) -> str:
    return label if len(label) == 1 else "?"
