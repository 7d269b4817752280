"""What a model must know of its data: features, and statistics of the training part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.data import schema
from gia.data.graph_features import ATTRIBUTE, check_level
from gia.data.items import Items
from gia.data.targets import classes_of_each
from gia.data.tokenizer import Tokenizer
from gia.data.tokenizers import read_tokenizer

# What the data of a prediction must have in common with that of the training.
SHARED = ("node_channels", "edge_channels", "encodings", "ordered", "level", "targets")
# What files of before say nothing of.
LATER = {"graph_channels": 0, "feature_names": []}


def features(items: Items, encodings: Sequence[str] | None = None) -> dict[str, Any]:
    """What all items have in common.

    ``vocab_size`` is the number of symbols, 0 without any; ``node_categories`` and
    ``edge_categories`` are sizes of categorical columns, ``node_channels`` and ``edge_channels``
    numbers of continuous ones; ``encodings`` the columns of each positional encoding by its name,
    and under ``component`` the number of an item's parts where there are several;
    ``graph_channels`` the features of a graph, ``feature_names`` those of them that are scaled.
    """
    graphs, first = items.graphs, items.graphs[0]
    result: dict[str, Any] = {
        "vocab_size": _largest(graphs, "token") + 1 if "token" in first else 0
    }
    for kind, key in (("node", "x"), ("edge", "edge_attr")):
        value = first.get(key)
        number = value is not None and value.is_floating_point()
        known = getattr(items, f"{kind}_categories")
        result[f"{kind}_channels"] = value.size(1) if number else 0
        sizes = [] if number or value is None else known
        if value is not None and not number and len(known) != value.size(1):
            sizes = _sizes(graphs, key)
        result[f"{kind}_categories"] = list(sizes)
    own = first.get(ATTRIBUTE)
    if own is not None:
        check_level(items.level)
    channels = 0 if own is None else own.size(1)
    parts = schema.number_of_components(graphs)
    if items.components and "component" not in first:
        raise ValueError(
            "a transform has left out component, which tells "
            f"{' from '.join(items.components)}: let it change the item that it is given"
        )
    names = items.feature_names
    if names is None:  # what a transform gives at each fetch
        names = [f"{ATTRIBUTE}_{i}" for i in range(channels)]
    return result | {
        "graph_channels": channels,
        "feature_names": list(names),
        "encodings": schema.encodings(first, encodings)
        | ({"component": parts} if parts > 1 else {}),
        "ordered": "seq_pos" in first,
        "level": items.level,
    }


def describe(
    items: Items, tokenizer: Tokenizer | None = None, encodings: Sequence[str] | None = None
) -> dict[str, Any]:
    """The features of items, what made their symbols, and their targets.

    Args:
        items: with their targets.
        tokenizer: of their symbols, if there is one.
        encodings: attributes that are encodings; None takes those that end in ``_pe``.
    """
    names, classes = items.target_names, items.class_names
    each = classes_of_each(classes, len(names))
    found = features(items, encodings) | {
        "tokenizer": None if tokenizer is None else tokenizer.to_config(),
        "target_names": list(names),
        "class_names": list(classes),
        "out_channels": sum(max(1, len(of_target)) for of_target in each),
    }
    return found if tokenizer is None else found | {"vocab_size": tokenizer.vocab_size}


def hidden_inputs(found: dict[str, Any]) -> dict[str, Any]:
    """What changes where a model is to say what hidden nodes are.

    Args:
        found: the ``inputs`` of the data.

    Raises:
        ValueError: if nodes are neither symbols nor categories.
    """
    sizes = [found["vocab_size"]] if found["vocab_size"] else found["node_categories"]
    if not sizes:
        what = "have numbers" if found["node_channels"] else "have no features"
        raise ValueError(
            f"task=masked hides symbols or categories of nodes, but the nodes of this data {what}: "
            "pretrain with computed or measured targets (task=regression) instead"
        )
    if found["vocab_size"] and found["node_categories"]:
        raise ValueError(
            "task=masked hides symbols or categories of nodes, but the nodes of this data have "
            "both: pretrain on the molecules alone, without data.sequence_column"
        )
    return {"out_channels": sum(sizes)}


def check_fit(found: dict[str, Any], known: dict[str, Any]) -> None:
    """See that a model knows such data.

    Args:
        found: the ``inputs`` of the data.
        known: of the model.

    Raises:
        ValueError: if the data is of another kind.
    """
    if found["tokenizer"] and known["tokenizer"] and found["vocab_size"] > known["vocab_size"]:
        added = read_tokenizer(found["tokenizer"]).symbols[known["vocab_size"] :]
        raise ValueError(f"the data has classes that the model does not know: {' '.join(added)}")
    here, there = (of["encodings"].get("component", 1) for of in (found, known))
    if here != there:
        raise ValueError(
            f"the parts of each row, molecules or a sequence, were {there} in the training of the "
            f"model, and here they are {here}: give the same columns in the same order, such as "
            "data.smiles_column=[a,b]"
        )
    _check_features(found, LATER | known)
    # A model may give several numbers for a target: its out_channels may be others.
    found, known = ({**of, "targets": len(of["target_names"])} for of in (found, known))
    wrong = [key for key in SHARED if found[key] != known[key]]
    # Categories may be fewer than those that the model knows, where they are found from the data.
    for kind in ("edge_categories", "node_categories"):
        pairs = list(zip(found[kind], known[kind], strict=False))
        if len(found[kind]) != len(known[kind]) or any(here > there for here, there in pairs):
            wrong.insert(0, kind)
    if found["vocab_size"] > known["vocab_size"]:
        wrong.insert(0, "vocab_size")
    for key in wrong:
        raise ValueError(
            f"the model was trained on data whose {key} is {known[key]}, but here it is "
            f"{found[key]}: give data of the same kind and columns"
        )


def _check_features(found: dict[str, Any], known: dict[str, Any]) -> None:
    """See that graphs have the features that a model reads, in their order."""
    names, wanted = found["feature_names"], known["feature_names"]
    for here, there in zip_longest(names, wanted):
        if here != there:
            raise ValueError(
                f"the model was trained with the feature of graphs {there or 'none'!r} where the "
                f"data has {here or 'none'!r}: give data.features as for the training, and the "
                "same version of the library that computes them"
            )
    here, there = found["graph_channels"], known["graph_channels"]
    if here != there:
        raise ValueError(
            f"the model was trained with {there} features of a graph, but here are {here}: give "
            "data.features as for the training"
        )


def training_statistics(
    graphs: Iterable[Data], target_names: Sequence[str], regression: bool
) -> dict[str, Any]:
    """``target_mean``, ``target_std`` and ``target_range``, for regression, and
    ``degree_histogram``.

    The range of a target is the least and the largest of it; infinite on a side on which there are
    targets that are known by a bound alone.

    Args:
        graphs: of the training part, with their targets.
        target_names: of the targets; none for a language model.
        regression: the targets are numbers.

    Raises:
        ValueError: if a target has no value, or for regression only one.
    """
    result: dict[str, Any] = {"target_mean": [], "target_std": [], "target_range": []}
    result["degree_histogram"] = []
    degrees, targets, bounds = [], [], []
    for data in graphs:
        if data.get("edge_index") is not None:
            degrees.append(torch.bincount(data.edge_index[1], minlength=data.num_nodes))
        if target_names:
            targets.append(data.y)
            if "y_bounds" in data:
                bounds.append(data.y_bounds)
    if degrees:
        result["degree_histogram"] = torch.bincount(torch.cat(degrees)).tolist()
    if not targets:
        return result
    y = torch.cat(targets).double()
    known = torch.cat(bounds).isfinite() if bounds else torch.zeros(0, len(target_names), 2)
    # Below an upper bound lies anything, and above a lower one.
    open_above, open_below = known.bool().any(0).unbind(-1)
    for number, (name, column) in enumerate(zip(target_names, y.T, strict=True)):
        values = column[~column.isnan()]
        if not len(values):
            raise ValueError(
                f"target {name!r} has no measured value in the training part of the split: give "
                "another data.split_seed, or leave it out of data.target_column"
            )
        if not regression:
            continue
        if values.min() == values.max():
            raise ValueError(
                f"target {name!r} is {values[0]:g} throughout the training part of the split: "
                "there is nothing to learn; leave it out of data.target_column"
            )
        result["target_mean"].append(float(values.mean()))
        result["target_std"].append(float(values.std(correction=0)))
        lowest = -math.inf if open_below[number] else float(values.min())
        highest = math.inf if open_above[number] else float(values.max())
        result["target_range"].append([lowest, highest])
    return result


def _largest(graphs: Iterable[Data], key: str) -> int:
    return max(int(data[key].max()) for data in graphs)


def _sizes(graphs: Sequence[Data], key: str) -> list[int]:
    """The sizes of categorical columns, as far as the data shows them.

    Raises:
        ValueError: naming an item with a negative category.
    """
    largest: Tensor | None = None
    for data in graphs:
        if not len(data[key]):
            continue
        if int(data[key].min()) < 0:
            raise ValueError(
                f"row {data.row} ({data.name}) has {int(data[key].min())} in {key}, whose integers "
                "are categories, counted from 0: make numbers of them with a float dtype"
            )
        most = data[key].amax(0)
        largest = most if largest is None else torch.maximum(largest, most)
    return [1] * graphs[0][key].size(1) if largest is None else (largest + 1).tolist()
