"""Every variant against one of them, on all data sets at once."""

import math
from collections import Counter

from matplotlib.figure import Figure

from gia_duel.results import Results, Table
from gia_duel.statistics import CONFIDENCE, Difference
from gia_duel.text import NONE, difference_text, grid, mean_text, part_text

CLEAR = (
    f"Against a single variant a win is a mean paired difference whose {CONFIDENCE:.0%} interval "
    "is above 0, a loss one whose interval is below it, and everything between is a tie. In "
    "brackets the interval, and how many replicates both have where it is not all of them; wins "
    "and losses are bold."
)
FORMS = ("win", "tie", "loss")


def means(results: Results) -> str:
    """A table of all means on test, of the data sets of which there is something."""
    variants = list(results.plan.variants)
    rows = []
    for name, table in results.tables.items():
        if not any(row.chosen for row in table.rows.values()):
            continue
        cells = []
        for variant in variants:
            row = table.rows.get(variant)
            cells.append("" if row is None else mean_text(row) + part_text(row, table.dataset))
        rows.append([f"{name} ({table.dataset.metric})", *cells])
    return grid(["data set", *variants], rows, left=(0,))


def against(results: Results, name: str) -> list[str]:
    """How much better every other variant is on test than the one of this name, where it is."""
    others = [variant for variant in results.plan.variants if variant != name]
    tallies = {other: Counter() for other in others}
    rows = []
    for dataset, table in results.tables.items():
        if not _has(table, name):
            continue
        cells = []
        for other in others:
            difference = difference_of(table, other, name)
            if difference is not None:
                tallies[other][difference.clear] += 1
            cells.append(_cell(table, other, difference))
        rows.append([f"{dataset} ({table.dataset.metric})", *cells])
    totals = ["-".join(str(tallies[other][form]) for form in FORMS) for other in others]
    rows.append(["wins-ties-losses", *totals])
    return [f"### Better than {name} by", grid(["data set", *others], rows, left=(0,))]


def difference_of(table: Table, variant: str, name: str) -> Difference | None:
    """How much better one variant is than another on the replicates that both have, if any."""
    return table.shared(table.rows.get(variant), table.rows.get(name))


def intervals(results: Results, name: str) -> Figure:
    """The differences of all variants to one, with their intervals: a panel for each data set.

    They are in shares of that variant's mean, so that data sets can be looked at together.
    """
    others = [variant for variant in results.plan.variants if variant != name]
    tables = [table for table in results.tables.values() if _has(table, name)]
    columns = min(len(tables), 4)
    lines = math.ceil(len(tables) / columns)
    height = (0.24 * len(others) + 0.9) * lines
    figure = Figure(figsize=(3.2 * columns + 0.6, height), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).flatten()
    for axes, table in zip(panels, tables, strict=False):
        _panel(axes, table, others, name)
    for axes in panels[len(tables) :]:
        axes.set_axis_off()
    figure.supxlabel(f"better than {name} by so many percent of its metric on test", fontsize=9)
    return figure


def _panel(axes, table: Table, others: list[str], name: str) -> None:
    values = list(table.rows[name].values("test").values())
    scale = 100 / abs(sum(values) / len(values)) if any(values) else 100.0
    axes.axvline(0, color="0.6", linewidth=0.8)
    for place, other in enumerate(others):
        found = difference_of(table, other, name)
        if found is None:
            continue
        colour = {"win": "tab:green", "loss": "tab:red"}.get(found.clear, "0.35")
        half = 0.0 if math.isnan(found.error) else (found.high - found.low) / 2
        axes.errorbar(
            found.mean * scale, place, xerr=half * scale, fmt="o", color=colour, markersize=3.5,
            linewidth=1.2, capsize=2,
        )  # fmt: skip
    axes.set_title(f"{table.dataset.name} ({table.dataset.metric})", fontsize=9)
    axes.set_yticks(range(len(others)), others)
    axes.set_ylim(len(others) - 0.5, -0.5)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _cell(table: Table, variant: str, difference: Difference | None) -> str:
    if difference is None:
        return NONE if variant in table.rows else ""
    part = difference.number < table.dataset.replicates
    return difference_text(difference) + (f" (n={difference.number})" if part else "")


def _has(table: Table, name: str) -> bool:
    return name in table.rows and bool(table.rows[name].chosen)
