"""What is done with rows that make no graph or lack a target: told once, by number and reason."""

from collections.abc import Sequence

from gia.data.graph_table import GraphTable, Rejected
from gia.data.targets import Targets

# How many rows an error names.
NAMED = 5


def sort_out(
    table: GraphTable, targets: Targets
) -> tuple[list[int], list[Rejected], list[Rejected]]:
    """Graphs with some target stay; those without any are rejected.

    Returns:
        The numbers of the graphs that stay, the rejected rows, and the rows that stay although some
        of their targets are masked; rows in the source's order, each with all its reasons.
    """
    reasons: dict[int, list[str]] = {}
    for entry in [*targets.masked, *targets.missing]:
        reasons.setdefault(entry.row, []).append(entry.reason)
    kept, rejected, masked = [], list(table.rejected), []
    for i, (data, y) in enumerate(zip(table.graphs, targets.y, strict=True)):
        entry = Rejected(data.row, data.name, "; ".join(reasons.get(data.row, ["no target"])))
        if y.isnan().all():
            rejected.append(entry)
            continue
        kept.append(i)
        if data.row in reasons:
            masked.append(entry)
    return kept, sorted(rejected, key=lambda entry: entry.row), masked


def refuse(table: GraphTable, rows: Sequence[Rejected]) -> None:
    """What ``data.strict=true`` asks for.

    Args:
        table: with its unknown symbols.
        rows: those that would be skipped or masked.

    Raises:
        ValueError: if there is anything to complain about.
    """
    if table.unknown:
        symbols = ", ".join(f"{symbol!r} ({n})" for symbol, n in table.unknown.items())
        raise ValueError(
            f"data.strict=true, but the alphabet lacks {symbols}: correct the data, or use "
            "data.strict=false to read them as <unk>"
        )
    if rows:
        raise ValueError(
            f"data.strict=true, but {len(rows)} rows cannot be used: {listed(rows)}: correct "
            "them, or use data.strict=false to skip or mask them"
        )


def listed(rows: Sequence[Rejected]) -> str:
    """The first of these rows in words."""
    named = "; ".join(f"row {entry.row} ({entry.name}): {entry.reason}" for entry in rows[:NAMED])
    return named + (f"; and {len(rows) - NAMED} more" if len(rows) > NAMED else "")
