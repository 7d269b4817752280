"""What is said of the nodes of a few sequences, drawn along them at the end of a run."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from gia.analysis.figures import safe, save
from gia.analysis.prediction_figures import MOST_PANELS
from gia.analysis.predictions import Predictions
from gia.analysis.track_figures import MOST_PLACES, Track
from gia.data.node_labels import node_labels

# The worst but for a tenth, the one in the middle, and the best but for a tenth.
SHARES = (0.9, 0.5, 0.1)
FEWEST = 20  # known nodes of a sequence, where there are such


def picture_sequences(task: Any, data: Any, found: Predictions, folder: Path) -> list[Path]:
    """Draw three test sequences with what is known and said of each node, a figure a target.

    Nothing is drawn where nodes have no targets, or no order.

    Args:
        task (Prediction): What predicted, whose ``tracks`` draws.
        data (DataModule): Set up.
        found (Predictions): Of its test part.
        folder (Path): Where to.
    """
    if task.level != "node" or not found.rows:
        return []
    rows = set(found.rows)
    graphs = [graph for graph in data.test_data if graph.row in rows]
    if any("seq_pos" not in graph or "component" in graph for graph in graphs):
        return []
    written, names = [], task.target_names[:MOST_PANELS]
    for target, name in enumerate(names):
        chosen = telling(chains_of(task, graphs, found, target, data.items.kind))
        if not chosen:
            continue
        title = f"{name}: {len(chosen)} test sequences, from the worse to the better predicted"
        figure = task.tracks(chosen, target, title)
        if figure is not None:
            file = f"sequences_{safe(name)}" if len(names) > 1 else "sequences"
            written += save(figure, folder / file)
    return written


def chains_of(
    task: Any, graphs: Iterable[Data], found: Predictions, target: int, kind: str
) -> list[Track]:
    """What is said of one target of each graph."""
    places: dict[int, list[int]] = {}
    for place, row in enumerate(found.rows):
        places.setdefault(row, []).append(place)
    output = task.predicted(found.output)
    chains = []
    for graph in graphs:
        own = torch.tensor(places[graph.row])
        ends = {}
        if found.lower is not None:
            ends = {"lower": found.lower[own, target], "upper": found.upper[own, target]}
        labels = node_labels(graph, kind)
        chains.append(
            Track(graph.name, labels, found.target[own, target], output[own, target], **ends)
        )
    return chains


def telling(chains: Sequence[Track]) -> list[Track]:
    """Of those that can be drawn whole three that show how good predictions are, worse ones
    first: no chosen ones, but at fixed places in the order of their errors."""
    known = [chain for chain in chains if chain.known.any()]
    for fits in (
        lambda chain: len(chain.labels) <= MOST_PLACES and int(chain.known.sum()) >= FEWEST,
        lambda chain: len(chain.labels) <= MOST_PLACES,
    ):
        known = [chain for chain in known if fits(chain)] or known
    ranked = sorted(known, key=lambda chain: chain.error)
    at = [round(share * (len(ranked) - 1)) for share in SHARES]
    return [ranked[place] for place in dict.fromkeys(at)] if ranked else []
