"""How far what language models have learned holds beyond their training.

Where the plan's runner has ``details: true``, its runs keep more than their results: the losses of
each validation, of the validation part and of as many sequences of the training part, both in eval
mode; the best one of these; what each layer has learned; and the nats and symbols of every sequence
of the test part. This is read here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from gia_duel.results import Results, Row
from gia_duel.statistics import bootstrap, paired
from gia_duel.text import difference_text, grid, interval_text, sample_text

BEST, LOSSES, LAYERS, ITEMS = "best", "losses", "layers", "test_items"
SAMPLES = 2000  # of the bootstrap
EXPLAINED = (
    "Losses are nats per symbol, in eval mode, of the validation part and of as many sequences of "
    "the training part. The gap is what validation has more than training: at the end, after as "
    "many steps for all; and at equal training loss, the lowest that both this variant and "
    "{reference} reach, where it is the difference of the two gaps (below 0: this variant "
    "generalises better). The ratio is that of the lowest validation losses. The last columns say "
    "how much less a symbol of the test part costs than under {reference}, with Student's interval "
    "over replicates, and with that of a bootstrap over the sequences of each test part "
    "({samples:,} samples). n: replicates; of {reference} those alone count that the variant has. "
    "±: standard error of the mean."
)
Runs = Mapping[int, "Details"]


@dataclass(frozen=True)
class Details:
    """What a run has kept, in nats per symbol.

    Attributes:
        lowest (float): The best validation loss.
        epoch (float): When that was.
        train, val (array): Losses at each validation.
        items (array): Nats and symbols of the sequences of the test part, ``[M, 2]``.
        layers (dict): What each layer has learned, by name; None for a layer without it.
        split (str): The fingerprint of the split.
    """

    lowest: float
    epoch: float
    train: np.ndarray
    val: np.ndarray
    items: np.ndarray
    layers: Mapping[str, Sequence[float | None]]
    split: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Details":
        """Of a record that has them."""
        details = record["details"]
        step, lowest = details[BEST]
        _, train, val = np.array(details[LOSSES], dtype=float).T
        return cls(
            lowest=lowest,
            epoch=step * record["epochs"] / record["steps"],
            train=train,
            val=val,
            items=np.array(details[ITEMS], dtype=float),
            layers=details[LAYERS],
            split=record["split"],
        )

    @property
    def gap(self) -> float:
        """Validation minus training loss at the end."""
        return float(self.val[-1] - self.train[-1])

    @property
    def test(self) -> float:
        """The loss on test."""
        nats, symbols = self.items.sum(0)
        return float(nats / symbols)

    def gap_at(self, loss: float) -> float:
        """Validation minus training loss where that of training first falls to this.

        Between two validations both are linear. NaN if training never gets there, or was below it
        at the first validation already.
        """
        below = np.flatnonzero(self.train <= loss)
        if not len(below) or self.train[0] < loss:
            return math.nan
        at = below[0]
        if at == 0:
            return float(self.val[0] - loss)
        before, after = self.train[at - 1], self.train[at]
        share = (before - loss) / (before - after)
        return float(self.val[at - 1] + share * (self.val[at] - self.val[at - 1]) - loss)


def generalisation(results: Results, picture: str) -> list[str]:
    """The section of a report, for the data sets of which there are details; none else.

    Args:
        results (Results): All that there is of a plan.
        picture (str): Where :func:`trajectories` is, relative to the report.
    """
    known = _detailed(results)
    if not known or not results.plan.against:
        return []
    reference = results.plan.against[0]
    parts = ["## Beyond the training", EXPLAINED.format(reference=reference, samples=SAMPLES)]
    for name, variants in known.items():
        parts += [f"### {name}, against {reference}", _compared(variants, reference)]
        parts += _learned(variants)
    drawn = "Validation loss against training loss, a panel for each data set"
    return [*parts, f"![{drawn}]({picture})"]


def trajectories(results: Results) -> Figure | None:
    """Validation against training loss as both fall, means over replicates; None where nothing is
    known of it."""
    known, plan = _detailed(results), results.plan
    if not known:
        return None
    figure = Figure(figsize=(5.2 * len(known), 5), layout="constrained")
    panels = figure.subplots(1, len(known), squeeze=False).flatten()
    palette = colormaps["tab20"].colors
    colours = {name: palette[i % len(palette)] for i, name in enumerate(plan.variants)}
    handles = {}
    for axes, (dataset, variants) in zip(panels, known.items(), strict=True):
        drawn = []
        for name, runs in variants.items():
            length = min(len(run.train) for run in runs.values())
            train = np.mean([run.train[:length] for run in runs.values()], axis=0)
            val = np.mean([run.val[:length] for run in runs.values()], axis=0)
            ours = plan.variants[name].family == plan.duel[0]
            (handles[name],) = axes.plot(
                train, val, "-" if ours else "--", color=colours[name], linewidth=1.4
            )
            axes.plot(train[-1], val[-1], "o", color=colours[name], markersize=4)
            drawn.append((train.min(), val.min()))
        trained, validated = np.array(drawn).T
        span = max(np.ptp(validated), 0.02)
        top = validated.max() + 3 * span
        axes.set_xlim(trained.min() - span / 4, top)
        axes.set_ylim(validated.min() - span / 4, top)
        axes.axline((top, top), slope=1, color="grey", linewidth=0.8, zorder=0)
        axes.set_title(dataset)
        axes.set_xlabel("training loss (nats per symbol)")
        axes.set_ylabel("validation loss (nats per symbol)")
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=6, frameon=False, fontsize=8
    )
    return figure


def _compared(variants: Mapping[str, Runs], reference: str) -> str:
    rows = []
    for name, runs in variants.items():
        rows.append([
            name,
            str(len(runs)),
            _mean([math.exp(run.lowest) for run in runs.values()]),
            _mean([run.epoch for run in runs.values()]),
            _mean([run.gap for run in runs.values()]),
            *_beside(runs, {} if name == reference else variants.get(reference, {})),
        ])  # fmt: skip
    heads = ["model", "n", "lowest validation perplexity", "after epochs", "gap at the end",
             "gap at equal training loss", "loss ratio", "better on test, over replicates",
             "over sequences"]  # fmt: skip
    return grid(heads, rows, left=(0,))


def _beside(runs: Runs, others: Runs) -> list[str]:
    """The columns that compare with the reference, on the replicates that both have."""
    common = sorted(runs.keys() & others.keys())
    if not common:
        return ["-"] * 4
    pairs = [(runs[r], others[r]) for r in common]
    reached = [max(one.train.min(), other.train.min()) for one, other in pairs]
    gaps = [
        one.gap_at(loss) - other.gap_at(loss)
        for (one, other), loss in zip(pairs, reached, strict=True)
    ]
    tests = [{r: of[r].test for r in common} for of in (runs, others)]
    low, high = bootstrap(_test_parts(pairs), SAMPLES)
    return [
        _mean(gaps, signed=True),
        _mean([one.lowest / other.lowest for one, other in pairs]),
        difference_text(paired(*tests, "lower")),
        interval_text(low, high, (high - low) / 4),
    ]


def _test_parts(pairs: Sequence[tuple[Details, Details]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Nats and symbols of each test part on both sides, means over the replicates that share it."""
    splits: dict[str, list[tuple[Details, Details]]] = {}
    for one, other in pairs:
        splits.setdefault(one.split, []).append((one, other))
    return [
        tuple(np.mean([side.items for side in sides], axis=0) for sides in zip(*of, strict=True))
        for of in splits.values()
    ]


def _learned(variants: Mapping[str, Runs]) -> list[str]:
    """What layers have learned, from the first to the last, where there is anything."""
    rows = []
    for name, runs in variants.items():
        for key in dict.fromkeys(key for run in runs.values() for key in run.layers):
            values = [run.layers[key] for run in runs.values() if key in run.layers]
            layers = zip(*values, strict=True)
            rows.append([name, key, *(_mean([x for x in of if x is not None]) for of in layers)])
    if not rows:
        return []
    width = max(map(len, rows))
    heads = ["model", "learned", *(f"layer {i}" for i in range(1, width - 1))]
    rows = [[*row, *["-"] * (width - len(row))] for row in rows]
    return ["What layers have learned, the mean of their heads:", grid(heads, rows, left=(0, 1))]


def _detailed(results: Results) -> dict[str, dict[str, Runs]]:
    """By data set and variant, the runs that have details; those without any are left out."""
    found = {}
    for dataset, table in results.tables.items():
        variants = {name: _runs(row) for name, row in table.rows.items()}
        variants = {name: runs for name, runs in variants.items() if runs}
        if variants:
            found[dataset] = variants
    return found


def _runs(row: Row) -> Runs:
    """What is kept of each replicate that has details."""
    return {
        replicate: Details.of(record)
        for replicate, (_, record) in row.chosen.items()
        if "details" in record
    }


def _mean(values: Sequence[float], signed: bool = False) -> str:
    known = [value for value in values if math.isfinite(value)]
    return sample_text(known, signed) if known else "-"
