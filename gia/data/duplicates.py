"""Items that occur several times, and not always with the same target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data.items import Items


def conflicts(items: Items, texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each target with some, the items that occur several times with different values.

    No model can tell them apart: that bounds what can be learned.

    Args:
        items: whose targets are read.
        texts: of each of them, what is the same for the same item.

    Returns:
        By the name of a target ``number``, how many there are; ``of``, the number of different
        items; their ``kind``; the ``text`` of the first one, and the ``rows`` where it stands.
    """
    number = Counter(texts)
    several = [i for i, text in enumerate(texts) if number[text] > 1]
    found: dict[str, dict[str, Any]] = {}
    for name, values in _values(items, several).items():
        by_text: dict[str, set] = {}
        for i, value in zip(several, values, strict=True):
            if value == value:  # not NaN, a target that is missing
                by_text.setdefault(texts[i], set()).add(value)
        differ = [text for text, seen in by_text.items() if len(seen) > 1]
        if differ:
            rows = [int(items.graphs[i].row) for i in several if texts[i] == differ[0]]
            first = {"kind": items.kind, "text": differ[0], "rows": rows}
            found[name] = {"number": len(differ), "of": len(number), **first}
    return found


def _values(items: Items, chosen: Sequence[int]) -> dict[str, Sequence[Any]]:
    """The values of each target, of some items."""
    graphs: list[Data] = [items.graphs[i] for i in chosen]
    if graphs and graphs[0].get("label") is not None:  # of a language model
        return {"the class": [data.label for data in graphs]}
    if not graphs or items.level != "graph" or not items.target_names:
        return {}
    y = torch.cat([data.y for data in graphs])
    return dict(zip(items.target_names, y.T.tolist(), strict=True))
