"""What a datamodule did with the data: in numbers, as a table, and as one digest."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from gia.data.files import write_atomically
from gia.data.splits import PARTS

if TYPE_CHECKING:
    from gia.data.base import BaseDataModule
    from gia.data.datamodule import SequenceDataModule


def summary(data: SequenceDataModule) -> dict[str, Any]:
    """Counts of what was read, lost and split, as plain values.

    ``duplicates`` counts the graphs that repeat an earlier one, ``groups`` those that the split
    kept together, ``cut`` the records that lost symbols to ``max_length``; ``padding_waste`` is the
    share of the training batches that would be padding.
    """
    data.setup()
    cuts = [graph.cut for graph in data.graphs]
    result = {
        "sequences": len(data.graphs),
        "empty_skipped": data.num_empty,
        **split_counts(data, cuts),
        "unknown": dict(data.unknown),
        "padding_waste": data.loader("train").batch_sampler.padding_waste(),
    }
    for i, name in enumerate(PARTS):
        graphs = getattr(data, f"{name}_data")
        result[name] = {
            "sequences": len(graphs),
            "tokens": sum(graph.num_nodes for graph in graphs),
            "largest_group": largest_group(data, i),
        }
    return result


def split_counts(data: BaseDataModule, cuts: Sequence[int]) -> dict[str, int]:
    """What was kept together, and how much was cut, given how much of each sequence was."""
    return {
        "duplicates": len(data.graphs) - len(set(data.texts)),
        "groups": int(data.split.group.max()) + 1,
        "largest_group": int(data.split.group.bincount().max()),
        "cut": sum(cut > 0 for cut in cuts),
        "symbols_cut": sum(cuts),
    }


def largest_group(data: BaseDataModule, part: int) -> int:
    """How many graphs of one part are of one group, at most."""
    return int(data.split.group[data.split.part == part].bincount(minlength=1).max())


def write_splits(data: BaseDataModule, path: str | PathLike) -> None:
    """A CSV with name, part, group, length and digest of each graph, in the source's order."""
    data.setup()
    part, group = data.split.part.tolist(), data.split.group.tolist()
    rows = zip(data.graphs, part, group, data.texts, strict=True)
    with write_atomically(path) as file:
        table = csv.writer(file)
        table.writerow(["name", "split", "cluster", "length", "sha256"])
        for graph, p, g, text in rows:
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            table.writerow([graph.name, PARTS[p], g, graph.num_nodes, digest])


def fingerprint(data: BaseDataModule) -> str:
    """SHA-256 over the texts of the graphs and their parts, in the source's order."""
    data.setup()
    digest = hashlib.sha256()
    for text, part in zip(data.texts, data.split.part.tolist(), strict=True):
        digest.update(f"{PARTS[part]} {len(text)} {text}\n".encode())
    return digest.hexdigest()
