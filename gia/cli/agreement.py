"""``gia agreement``: how well a model's attention tells the graph that its data has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig

from gia.cli.command import check_numbers, command
from gia.cli.items import console, read_items

if TYPE_CHECKING:  # --help needs no heavy library
    from torch_geometric.data import Data

    from gia.analysis import Agreement

NAMES = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "precision_L": "P@L",
    "precision_L2": "P@L/2",
    "precision_L5": "P@L/5",
}


@command("agreement")
def agreement(cfg: DictConfig) -> None:
    """Compare the attention of each layer and head with the edges of the data."""
    import torch

    from gia.analysis import check_out, measure_agreement
    from gia.training import load_trained

    out = check_out(cfg.out, cfg.data.path)
    if out.suffix.lower() != ".csv":
        raise ValueError(f"out={cfg.out} must end in .csv")
    check_numbers(cfg, max_items=2, max_nodes=2, fit_items=1, seed=0)
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    items, source, attention = read_items(task, trained, cfg, structures=True)
    items, separation = _some(items, cfg), cfg.separation
    if separation is not None:
        separation = list(separation) if isinstance(separation, ListConfig) else [separation]
    found = measure_agreement(
        items, attention, separations=separation, fit_items=cfg.fit_items, seed=cfg.seed
    )
    _tell(found, attention.reads_edges(items[found.example[0]]))
    kind = getattr(source, "items", source).kind
    _write(found, items, kind, out)


def _some(items: Sequence[Data], cfg: DictConfig) -> list[Data]:
    """Those that are not too large, and of these so many, drawn by the seed."""
    import numpy as np

    small = [place for place, data in enumerate(items) if data.num_nodes <= cfg.max_nodes]
    if len(small) < len(items):
        console.print(
            f"  {len(items) - len(small):,} items of more than {cfg.max_nodes:,} nodes are left "
            "out (max_nodes)",
            soft_wrap=True,
        )
    if len(small) > cfg.max_items:
        console.print(
            f"  {cfg.max_items:,} of {len(small):,} items are looked at (max_items={cfg.max_items})"
        )
        drawn = np.random.default_rng(cfg.seed).permutation(len(small))[: cfg.max_items]
        small = [small[place] for place in sorted(drawn.tolist())]
    return [items[place] for place in small]


def _tell(found: Agreement, reads_edges: bool) -> None:
    """At the console: what was measured, and the heads beside the regression and simple rules."""
    from rich.table import Table

    from gia.analysis.agreement import HEAD, RANDOM, REGRESSION
    from gia.analysis.agreement_figures import RULES

    for reason, number in found.left_out.items():
        console.print(f"  {number:,} items {reason} are left out")
    console.print(
        f"  the regression is fitted on {len(found.fitted):,} items, and the best head chosen on "
        f"them; all is measured on {len(found.measured):,} others",
        soft_wrap=True,
    )
    if reads_edges:
        console.print(
            "  the model reads these edges itself: that its attention agrees with them is use, no "
            "discovery",
            soft_wrap=True,
        )
    for separation in found.separations:
        far = f"Pairs {separation} or more apart" if separation else "All pairs"
        table = Table(title=far, title_justify="left")
        table.add_column("")
        for measure in NAMES:
            table.add_column(NAMES[measure], justify="right")
        best = found.best[separation]
        rows = [(f"layer {best[0]}, head {best[1]}", HEAD, best), ("regression", REGRESSION, None)]
        rows += [(RULES[found.rule], found.rule, None), ("chance", RANDOM, None)]
        for name, predictor, head in rows:
            values = [
                found.find(predictor, separation, measure, head or (None, None))
                for measure in NAMES
            ]
            table.add_row(name, *(f"{value.mean:.3f}" for value in values))
        console.print(table)


def _write(found: Agreement, items: Sequence[Data], kind: str, out: Path) -> None:
    """The table, and two pictures beside it."""
    from gia.analysis import agreement_heat_maps, agreement_map, save, write_csv
    from gia.analysis.agreement import Value
    from gia.analysis.prediction_table import cell
    from gia.data.node_labels import node_labels

    write_csv(out, Value._fields, [list(map(cell, value)) for value in found.values])
    place, pairs = found.example
    item, ordered = items[place], pairs.distance is not None
    heads = save(agreement_heat_maps(found), out.with_suffix(""))[0]
    picture = agreement_map(
        pairs,
        found.probability,
        node_labels(item, kind),
        separation=found.separations[0],
        title=f"{item.name}: the item of median AUROC",
        what="residue" if ordered else "node",
    )
    example = save(picture, out.with_name(f"{out.stem}_item"))[0]
    console.print(f"  {len(found.values):,} values in {out}", soft_wrap=True)
    console.print(f"  drawn in {heads}, and one item in {example}", soft_wrap=True)
