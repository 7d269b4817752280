"""What a report says of one data set."""

import math
from statistics import mean

from gia_duel.plan import Plan
from gia_duel.results import Row, Table
from gia_duel.statistics import CONFIDENCE, Difference
from gia_duel.text import NONE, grid, interval_text, mean_text, number, spread_text


def section(plan: Plan, table: Table) -> list[str]:
    """A table of all variants, the pick beside each other one, how far their errors are true."""
    dataset, rows = table.dataset, []
    unit = "s" if plan.equal else "min"
    times = {name: _time(plan, row) for name, row in table.rows.items()}
    fastest = min((time for time in times.values() if time), default=None)
    for name, row in table.rows.items():
        test = mean_text(row)
        time = times[name]
        rows.append([
            name,
            row.family,
            mean_text(row, "val"),
            f"**{test}**" if name == table.ahead else test,
            spread_text(row),
            f"{row.replicates - len(row.missing)} of {row.replicates}",
            f"{row.parameters:,}" if row.chosen and row.parameters else "-",
            f"{time:.2g} {unit} ({time / fastest:.1f}x)" if time else "-",
            f"`gia duel plan={plan.name} dataset={dataset.name} variant={name}`",
        ])  # fmt: skip
    heads = ["model", "family", "validation", "test", "spread", "replicates", "parameters",
             "epoch" if plan.equal else "training", "command"]  # fmt: skip
    text = [
        f"## {dataset.name}",
        f"{dataset.metric}, {dataset.better} is better.",
        grid(heads, rows, left=(0, 1, 8)),
    ]
    return text + _against(plan, table) + _reliability(table)


def _reliability(table: Table) -> list[str]:
    """How far what models say of their errors is true, where it is known."""
    rows = []
    for name, row in table.rows.items():
        shown = []
        for when, metric in (("after", "coverage"), ("before", "ece"), ("after", "ece")):
            values = row.reliability(when, metric)
            shown.append(number(mean(values), 0.001) if values else "-")
        if set(shown) != {"-"}:
            rows.append([name, *shown, str(len(row.reliability("after", "ece")))])
    if not rows:
        return []
    heads = ["model", "covered by their intervals", "calibration error as it comes",
             "calibrated", "runs"]  # fmt: skip
    return [
        "Errors as the models say them, and as they are, on test:",
        grid(heads, rows, left=(0,)),
    ]


def _time(plan: Plan, row: Row) -> float | None:
    """Seconds of an epoch, or minutes of a training where epochs are no common measure."""
    if plan.equal:
        return row.seconds_per_epoch
    return row.seconds and row.seconds / 60


def _against(plan: Plan, table: Table) -> list[str]:
    ours, theirs = (table.pick(family) for family in plan.duel)
    if ours is None:
        return [f"No pick of {plan.duel[0]} yet: a run of that family is missing."]
    picked = f"Chosen on validation: {ours.variant} of {plan.duel[0]}" + (
        f", {theirs.variant} of {plan.duel[1]}." if theirs else f"; {plan.duel[1]}: {NONE}."
    )
    rows = []
    for name, row in table.rows.items():
        if row.family == plan.duel[0]:
            continue
        mark = " (picked)" if theirs is row else ""
        rows.append([f"{name}{mark}", *difference_cells(table.difference(ours, row))])
    heads = ["against", f"{ours.variant} is better by", f"{CONFIDENCE:.0%} interval",
             "verdict"]  # fmt: skip
    note = "The folds overlap: the intervals are too narrow." if table.dataset.folds else ""
    return [picked, grid(heads, rows, left=(0, 3)), note]


def difference_cells(difference: Difference | None) -> list[str]:
    """How much better one side is, with its error, in what interval, and the verdict."""
    if difference is None:
        return [NONE, "", "incomplete"]
    mean = number(difference.mean, difference.error, signed=True)
    if math.isnan(difference.error):
        return [mean, "", difference.verdict]
    error = number(difference.error, difference.error)
    interval = interval_text(difference.low, difference.high, difference.error)
    return [f"{mean} ± {error}", interval, difference.verdict]
