"""What a datamodule did with the data: in numbers, as a table, and as one digest."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data.bounds import is_bounded
from gia.data.cache import text_digest
from gia.data.components import components
from gia.data.duplicates import conflicts
from gia.data.files import write_atomically
from gia.data.items import NO_SEQUENCE, Items
from gia.data.splits import PARTS, Split
from gia.data.targets import classes_of_each, is_shared

EACH = "sha256_of_each"  # of the molecules of an item, in splits.csv
# What makes an item that has no text.
CONTENT = ("edge_index", "edge_attr", "x", "token", "pos", "y")


def summary(data: Any) -> dict[str, Any]:
    """Counts of what was read, lost and split, as plain values.

    ``rejected`` lists the rows without a graph, ``masked`` those that lack a target and ``filled``
    those with a feature that is no number, each by ``row``, ``name`` and ``reason``;
    ``missing_targets`` counts the missing values of each target.
    ``duplicates`` counts the items that repeat an earlier one, ``groups`` those that the split
    kept together, ``cut`` the sequences that lost symbols to ``max_length``; ``padding_waste`` is
    the share of the training batches that would be padding, where they are made of tokens.
    ``absent_classes`` names the classes that a part of the split lacks. ``conflicting`` says of how
    many items that occur several times the targets differ, and ``in_several_parts`` of how many
    the split has some in one part and some in another; ``notes`` is what else is to be known of
    how the data was read and split.

    Args:
        data: the :class:`gia.data.DataModule`, set up.
    """
    items, graphs = data.items, list(data.graphs)
    parts = {name: [graphs[i] for i in data.split.members(name)] for name in PARTS}
    sequences = data.target_type == "next_token"
    result = {"sequences" if sequences else "graphs": len(graphs)}
    result |= _of_sequences(items) if sequences else _of_graphs(items, graphs)
    result |= _of_split(data, graphs)
    if data.batcher.tokens_per_batch is not None:
        result["padding_waste"] = data.loader("train").batch_sampler.padding_waste()
    for name, own in parts.items():
        group = data.split.group[data.split.members(name)].bincount(minlength=1)
        nodes = sum(graph.num_nodes for graph in own)
        counts = {"sequences": len(own), "tokens": nodes}
        if not sequences:
            edges = sum(graph.num_edges for graph in own)
            counts = {"graphs": len(own), "nodes": nodes, "edges": edges}
        result[name] = counts | {"largest_group": int(group.max())}
        if items.class_names and own:
            result[name]["classes"], absent = _classes(items, own)
            if absent:
                result["absent_classes"][name] = absent
    return result


def write_splits(
    graphs: Sequence[Data], texts: Sequence[str], split: Split, path: str | PathLike
) -> None:
    """A CSV with row, name, part, group, length and digest of each item, in order.

    Where items have several molecules, a last column has the digest of each.
    """
    rows = zip(graphs, split.part.tolist(), split.group.tolist(), texts, strict=True)
    several = bool(graphs) and "component" in graphs[0]
    with write_atomically(path) as file:
        table = csv.writer(file)
        columns = ["row", "name", "split", "cluster", "length", "sha256"]
        table.writerow([*columns, *([EACH] if several else [])])
        for graph, part, group, text in rows:
            known_by = [text_digest(text)]
            known_by += [" ".join(map(text_digest, components(text)))] if several else []
            table.writerow([graph.row, graph.name, _name(part), group, graph.num_nodes, *known_by])


def fingerprint(texts: Sequence[str], split: Split, graphs: Iterable[Data] = ()) -> str:
    """SHA-256 over the texts of the items and their parts, in the dataset's order.

    Args:
        texts: what the split compared.
        split: where each of them goes.
        graphs: items whose texts do not say what they are; their tensors count as well.
    """
    digest = hashlib.sha256()
    for text, part in zip(texts, split.part.tolist(), strict=True):
        digest.update(f"{_name(part)} {len(text)} {text}\n".encode())
    for graph in graphs:
        for key in CONTENT:
            value = graph.get(key)
            if isinstance(value, (Tensor, int, float)):
                value = torch.as_tensor(value).cpu().double().flatten()
                digest.update(f"{key} {len(value)} ".encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _name(part: int) -> str:
    return PARTS[part] if part >= 0 else "none"


def _of_split(data: Any, graphs: Sequence[Data]) -> dict[str, Any]:
    cuts = [int(graph.get("cut") or 0) for graph in graphs]
    told = data.items.kind != "crystal"  # of which several may have one composition
    result = {
        "duplicates": (len(graphs) - len(set(data.texts))) * told,
        "groups": int(data.split.group.max()) + 1,
        "largest_group": int(data.split.group.bincount().max()),
        "cut": sum(cut > 0 for cut in cuts),
        "symbols_cut": sum(cuts),
        "unknown": dict(data.items.unknown),
        "letters": sum(data.items.letters.values()),
        "conflicting": conflicts(data.items, data.texts) if told else {},
        "in_several_parts": _in_several_parts(data.texts, data.split) if told else 0,
        "notes": [*data.items.notes, *data.split.notes],
    }
    unused = int((data.split.part < 0).sum())
    return result | ({"unused": unused} if unused else {})


def _in_several_parts(texts: Sequence[str], split: Split) -> int:
    """How many items the split has some in one part and some in another."""
    parts: dict[str, set[int]] = {}
    for text, part in zip(texts, split.part.tolist(), strict=True):
        if part >= 0:
            parts.setdefault(text, set()).add(part)
    return sum(len(found) > 1 for found in parts.values())


def _of_sequences(items: Items) -> dict[str, Any]:
    others = [entry for entry in items.rejected if not entry.reason.startswith(NO_SEQUENCE)]
    return {
        "empty_skipped": len(items.rejected) - len(others),
        "rejected": [vars(entry) for entry in others],
    }


def _of_graphs(items: Items, graphs: Sequence[Data]) -> dict[str, Any]:
    names = items.target_names
    missing = [(graph.y.isnan() & ~is_bounded(graph)).sum(0) for graph in graphs] if names else []
    return {
        "rejected": [vars(entry) for entry in items.rejected],
        "masked": [vars(entry) for entry in items.masked],
        "filled": [vars(entry) for entry in items.filled],
        "missing_targets": dict(zip(names, sum(missing).tolist(), strict=True)) if names else {},
        "left_out": dict(items.left_out),
        "single_node": sum(graph.num_nodes == 1 for graph in graphs),
        "without_edges": sum(graph.num_edges == 0 for graph in graphs),
        "absent_classes": {},
    }


def _classes(items: Items, graphs: Sequence[Data]) -> tuple[dict[str, int], list[str]]:
    """How often each class appears, and those that some target lacks."""
    y = torch.cat([graph.y for graph in graphs])
    names, shared = items.target_names, is_shared(items.class_names)
    total: Counter[str] = Counter()
    absent = []
    for t, classes in enumerate(classes_of_each(items.class_names, len(names))):
        counts = y[~y[:, t].isnan(), t].long().bincount(minlength=len(classes)).tolist()
        for name, count in zip(classes, counts, strict=True):
            named = f"{names[t]}: {name}" if len(names) > 1 else name
            total[name if shared else named] += count
            absent += [] if count else [named]
    return dict(total), absent
