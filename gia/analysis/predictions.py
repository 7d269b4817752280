"""What a model says of graphs or nodes, beside what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Predictions:
    """Predictions in the order in which they were made, R rows for graphs or nodes.

    Attributes:
        names (list of str): Of each row's graph.
        rows (list of int): Where the graph stands in its source, counted from 0.
        nodes (list of int): Which node of it; empty where whole graphs have targets.
        target (Tensor): As the data has it, ``[R, T]``; NaN where missing, or known by a bound
            alone.
        bounds (list): Lower and upper bound of each target of each row, infinite where there is
            none; empty where the data has none.
        texts (dict): By a graph's row what splits compare of it, such as its SMILES.
        output (Tensor): What ``predict_step`` gives: numbers ``[R, T]``, several of each target
            ``[R, T, K]``, or probabilities of classes ``[R, T, C]``, calibrated if the task is.
        std (Tensor, optional): The standard deviation of each number, ``[R, T]``, in physical
            units, calibrated if the task is; None where nothing gives one.
        lower, upper (Tensor, optional): The ends of intervals of numbers, ``[R, T]``: infinite
            where none is wide enough, NaN for a target that is not calibrated.
        similarity (dict): By a graph's row how similar the nearest graph of the training is.
        uncalibrated (Predictions, optional): The same before it was calibrated.
    """

    names: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    bounds: list[list[list[float]]] = field(default_factory=list)
    target: Tensor = field(default_factory=lambda: torch.empty(0))
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    std: Tensor | None = None
    lower: Tensor | None = None
    upper: Tensor | None = None
    texts: dict[int, str] = field(default_factory=dict)
    similarity: dict[int, float] = field(default_factory=dict)
    uncalibrated: Predictions | None = None
