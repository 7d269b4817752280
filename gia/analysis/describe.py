"""What was read and what was lost on the way, before the training starts."""

from typing import Any

from rich.console import Console
from rich.table import Table

PARTS = ("train", "val", "test")
COUNTS = ("sequences", "tokens", "graphs", "nodes", "edges")  # of a part, as far as it has them
LISTED = 10  # rows that are named; the rest is counted
KINDS = {
    "smiles": "molecules",
    "sequence": "sequences",
    "formula": "compositions",
    "crystal": "crystals",
    "name": "items",
}
LONGEST = 40  # letters of a sequence or a molecule that is named


def describe_data(summary: dict[str, Any], console: Console) -> None:
    """Say what was read, what was lost on the way, and how it was split.

    Args:
        summary (dict): Of a datamodule's ``summary()``, of sequences or of graphs.
        console (Console): Where to.
    """
    table = Table(title="Data", title_justify="left")
    counts = [count for count in COUNTS if count in summary["train"]]
    classes = list(
        dict.fromkeys(name for part in PARTS for name in summary[part].get("classes", {}))
    )
    for column in ("part", *counts, *classes):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in PARTS:
        numbers = [summary[part][count] for count in counts]
        numbers += [summary[part].get("classes", {}).get(name, 0) for name in classes]
        table.add_row(part, *(f"{number:,}" for number in numbers))
    console.print(table)
    for note in [*_of_groups(summary), *_of_sequences(summary), *_of_graphs(summary)]:
        console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)


def _of_groups(summary: dict[str, Any]) -> list[str]:
    notes = [
        f"{summary['duplicates']:,} duplicates; {summary['groups']:,} groups kept together, the "
        f"largest of {summary['largest_group']:,}"
    ]
    if summary.get("in_several_parts"):
        notes.append(
            f"{summary['in_several_parts']:,} occur in more than one part of the split: what is "
            "measured there was seen before"
        )
    for target, found in summary.get("conflicting", {}).items():
        rows = ", ".join(map(str, found["rows"][:LISTED]))
        rows += ", ..." if len(found["rows"]) > LISTED else ""
        notes.append(
            f"{found['number']:,} of {found['of']:,} different {KINDS[found['kind']]} have several "
            f"values of {target}, the first is {_short(found['text'])} (rows {rows})"
        )
    if "padding_waste" in summary:
        notes.append(f"{summary['padding_waste']:.1%} of a batch is padding")
    return notes


def _of_sequences(summary: dict[str, Any]) -> list[str]:
    notes = []
    if summary.get("cut"):
        notes.append(
            f"{summary['cut']:,} sequences longer than data.max_length were cut: "
            f"{summary['symbols_cut']:,} symbols lost"
        )
    if summary.get("empty_skipped"):
        notes.append(f"{summary['empty_skipped']:,} empty sequences skipped")
    if summary.get("unknown"):
        listed = ", ".join(f"{symbol!r} {n:,}" for symbol, n in summary["unknown"].items())
        notes.append(f"unknown symbols read as <unk>: {listed}")
        if summary.get("letters"):
            share = sum(summary["unknown"].values()) / summary["letters"]
            notes[-1] += f" ({share:.2%} of all letters)"
    return notes + summary.get("notes", [])


def _of_graphs(summary: dict[str, Any]) -> list[str]:
    notes = []
    for key, name in (("single_node", "of one node"), ("without_edges", "without edges")):
        if summary.get(key):
            notes.append(f"{summary[key]:,} graphs {name}")
    for target, number in summary.get("missing_targets", {}).items():
        if number:
            notes.append(f"{number:,} without a value of {target}: they are masked there")
    for reason, number in summary.get("left_out", {}).items():
        notes.append(f"{number:,} left out: {reason}")
    for part, names in summary.get("absent_classes", {}).items():
        if names:
            notes.append(f"{part} has none of the class {', '.join(names)}")
    notes += _rows("skipped", summary.get("rejected", []))
    notes += _rows("without one of their targets, which is masked", summary.get("masked", []))
    return notes + filled_notes(summary.get("filled", []))


def filled_notes(rows: list[dict[str, Any]]) -> list[str]:
    """Which rows have a feature that is no number, with its name.

    Args:
        rows (list of dict): ``filled`` of a datamodule's ``summary()``.
    """
    return _rows("with features that are no number, for which the mean of training stands", rows)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _rows(what: str, rows: list[dict[str, Any]]) -> list[str]:
    """The first rows with the reason of each; rows are counted from 0."""
    if not rows:
        return []
    notes = [f"{len(rows):,} rows {what} (rows are counted from 0)"]
    for row in rows[:LISTED]:
        named = "" if row["name"] == f"row_{row['row']}" else f" ({row['name']})"
        notes.append(f"  row {row['row']}{named}: {row['reason']}")
    if len(rows) > LISTED:
        notes.append(f"  and {len(rows) - LISTED:,} more")
    return notes
