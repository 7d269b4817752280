"""The report of a comparison, in Markdown, out of its evidence alone."""

import os
from collections import Counter
from pathlib import Path, PurePosixPath

from gia.analysis.figures import save
from gia.data.files import write_atomically
from gia_duel.against import CLEAR, against, intervals, means
from gia_duel.curves import validation_curves
from gia_duel.generalisation import generalisation, trajectories
from gia_duel.plan import TOLERANCE
from gia_duel.results import Results
from gia_duel.runner import without_paths
from gia_duel.section import difference_cells, section
from gia_duel.statistics import CONFIDENCE, RULE
from gia_duel.text import NONE, grid, mean_text, part_text

BEYOND = "beyond_training"  # of a picture's name
LISTED = 20  # broken and changed runs that are named
EQUAL_BUDGET = (
    "Every training on a replicate takes the same number of optimiser steps (the budget, rounded "
    "up to whole epochs) on the same batches of the same split (fingerprints are compared), "
    "without early stopping; the checkpoint that is best on validation is tested."
)
OWN_BUDGET = (
    "Every training on a replicate has the same split (fingerprints are compared); size, rate, "
    "epochs and which checkpoint is tested are each variant's own, as a user gets them."
)


def write_report(results: Results, path: Path, images: Path) -> str:
    """Write the report and its pictures.

    Args:
        results (Results): All that there is of a plan.
        path (Path): The Markdown file.
        images (Path): The pictures' name without a suffix: a PNG and an SVG are written.

    Returns:
        The text.
    """
    images.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(validation_curves(results), images)
    beyond = trajectories(results)
    if beyond is not None:
        save(beyond, _beside(images, BEYOND))
    for name in _compared(results):
        save(intervals(results, name), _beside(images, name))
    picture = Path(os.path.relpath(images.with_suffix(".png"), path.parent)).as_posix()
    text = markdown(results, picture)
    with write_atomically(path) as file:
        file.write(text)
    return text


def markdown(results: Results, picture: str) -> str:
    """The report's text.

    Args:
        results (Results): All that there is of a plan.
        picture (str): Where the curves are, relative to the report.
    """
    plan = results.plan
    parts = [
        f"# {plan.title}",
        plan.text.strip(),
        f"Written by `gia duel plan={plan.name}`, which runs what is missing or has changed; "
        f"`gia duel plan={plan.name} report_only=true` writes this page again.",
        "## Summary",
        *_summary(results),
        *_missing(results),
        *_against_each(results, picture),
        *generalisation(results, _drawn(picture, BEYOND)),
        "## How it was compared",
        *_protocol(results),
        *(part for table in results.tables.values() for part in section(plan, table)),
        "## Validation while training",
        f"Mean over replicates, and one standard deviation on each side; {plan.duel[0]} drawn "
        "thicker.",
        f"![Validation metric against optimiser steps, a panel for each data set]({picture})",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(results: Results) -> list[str]:
    ours, theirs = results.plan.duel
    rows = []
    for name, table in results.tables.items():
        dataset = table.dataset
        picks = [table.pick(family) for family in (ours, theirs)]
        shown = [
            NONE if row is None else f"{row.variant} {mean_text(row)}{part_text(row, dataset)}"
            for row in picks
        ]
        rows.append([name, f"{dataset.metric} ({dataset.better} is better)", *shown,
                     *difference_cells(table.outcome)])  # fmt: skip
    heads = ["data set", "metric on test", ours, theirs, f"better by ({ours})",
             f"{CONFIDENCE:.0%} interval", "verdict"]  # fmt: skip
    return [
        grid(heads, rows, left=(0, 1, 2, 3, 6)),
        f"{ours} against {theirs}, each the best of its family on validation: "
        f"**{results.tally}** on {len(rows)} data sets.",
        RULE,
    ]


def _compared(results: Results) -> list[str]:
    """Variants to compare with of which there is something."""
    rows = [row for table in results.tables.values() for row in table.rows.values() if row.chosen]
    return [name for name in results.plan.against if any(row.variant == name for row in rows)]


def _against_each(results: Results, picture: str) -> list[str]:
    names = _compared(results)
    if not names:
        return []
    parts = ["## Every variant on every data set", "Means on test, ± the standard error.",
             means(results), CLEAR]  # fmt: skip
    for name in names:
        parts += [
            *against(results, name),
            f"![Differences to {name} on test, with intervals]({_drawn(picture, name)})",
        ]
    return parts


def _beside(images: Path, what: str) -> Path:
    """The name of another picture of the report."""
    return images.with_name(f"{images.name}_{what}")


def _drawn(picture: str, what: str) -> str:
    """Where that is, relative to the report."""
    place = PurePosixPath(picture)
    return str(place.with_stem(f"{place.stem}_{what}"))


def _missing(results: Results) -> list[str]:
    gaps: dict[str, Counter] = {}
    odd = []
    for trial, found in results.found.items():
        if found.state != "done":
            gaps.setdefault(trial.dataset, Counter())[trial.variant] += 1
        if found.reason:
            odd.append(f"- {trial.path}: {found.reason}")
    if not gaps:
        return []
    lines = [
        f"- {dataset}: " + ", ".join(f"{name} {number}" for name, number in variants.items())
        for dataset, variants in gaps.items()
    ]
    return [
        f"**Not complete**: {len(results.found) - results.done} of {len(results.found)} runs are "
        "missing, and what depends on them is marked so. By variant:",
        "\n".join(lines + odd[:LISTED]),
    ]


def _protocol(results: Results) -> list[str]:
    plan = results.plan
    trials = "; ".join(
        f"`{' '.join(trial)}`" if trial else "as configured" for trial in plan.trials
    )
    own = [variant.name for variant in plan.variants.values() if variant.trials is not None]
    loose = [variant.name for variant in plan.variants.values() if not variant.matched]
    points = [
        f"Trials of every variant on every replicate: {len(plan.trials)} ({trials}"
        + (f"; as many of their own for {', '.join(own)}" if own else "")
        + "). The one that is best on the validation part of that replicate is kept, and it alone "
        "is read on test.",
        EQUAL_BUDGET if plan.equal else OWN_BUDGET,
    ]
    if plan.equal:
        points.append(
            f"Trainable parameters are {plan.num_parameters:,} within {TOLERANCE:.0%}, or nothing "
            "is trained" + (f" (not for {', '.join(loose)}: nothing to match)." if loose else ".")
        )
    points += [
        "A family's pick is its variant with the best mean on validation over the replicates that "
        "all of its variants have. Test is never looked at to choose.",
        "±: standard error of the mean over replicates; spread: standard deviation over them. "
        f"Intervals are Student's, {CONFIDENCE:.0%}, of the paired differences.",
        "Replicates are seeds, each with a split of its own where a split is drawn, or the folds "
        "of a cross-validation. Folds share most of their training data: their errors and "
        "intervals are too narrow.",
        "Times are medians on a machine shared with other work: only their ratios, "
        "in brackets to the fastest, say something.",
        "A number is bold if it is ahead of every other by more than a standard error of their "
        "paired difference.",
    ]
    rows = []
    for name, table in results.tables.items():
        dataset = table.dataset
        watched = dataset.watched[0] if plan.equal else "its own"
        steps = f"{dataset.steps:,}" if plan.equal else "its own"
        replicates = f"{dataset.replicates} {'seeds' if dataset.folds is None else 'folds'}"
        rows.append([name, dataset.metric, watched, replicates, steps,
                     f"`{' '.join(without_paths(dataset.overrides))}`"])  # fmt: skip
    heads = ["data set", "metric", "checkpoint and trial by", "replicates", "steps", "settings"]
    return ["\n".join(f"- {point}" for point in points),
            grid(heads, rows, left=(0, 1, 2, 3, 5)), *_made(results)]  # fmt: skip


def _made(results: Results) -> list[str]:
    records = [found.record for found in results.found.values() if found.state == "done"]
    if not records:
        return []
    dates = sorted(record["date"] for record in records)
    versions = sorted(
        {f"{name} {of}" for record in records for name, of in record["versions"].items() if of}
    )
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    made = f"{len(records)} runs, {when}; {', '.join(versions)}."
    before = sum(found.before for found in results.found.values())
    if before:
        made += (
            f" {before} of them were made before the configuration files were last changed, with "
            f"the settings that the plan has now; `gia duel plan={results.plan.name}` makes them "
            "again."
        )
    return [made]
