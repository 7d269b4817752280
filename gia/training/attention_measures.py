"""What the graphs of a model become while it is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn
from torch_geometric.data import Data

from gia.analysis.figures import save
from gia.analysis.inspection import inspect_attention
from gia.analysis.measure_figures import measure_curves
from gia.analysis.prediction_table import cell, write_csv
from gia.analysis.summary import model_name
from gia.analysis.topology import Topology

LONGEST = 128  # nodes of an item that is looked at: some measures grow with their cube
# Parameters of whole layers, of which single numbers say nothing.
WEIGHTS = ("weight", "bias")
FILE = "measures"


class AttentionMeasures(Callback):
    """At the start and each validation, measure the attention graphs of each layer on a few items.

    ``measures.csv`` has a row for each step and layer: the measures of
    :class:`gia.analysis.Topology` in the mean over heads and items, and the mean of what the layer
    has of single numbers, such as ``sharpening``, ``eps`` and ``threshold``. At the end
    ``measures.png`` draws them over steps. The logger has them too, as
    ``measures/layer_1/entropy``. All of it is kept in the checkpoint, so that a resumed run's is
    whole. It is of the weights that are being trained, also where averages of them are validated.

    Args:
        number (int): How many validation items: the first of at most 128 nodes, or the first 128
            nodes of the first items where all are larger.

    Raises:
        ValueError: If the number is below 1; when training starts, if the model draws no graphs.
    """

    def __init__(self, number: int = 2):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(
                f"callbacks.measures.number must be a whole number of at least 1, got {number!r}"
            )
        self.number = number
        self.rows: list[dict[str, Any]] = []
        self._items: list[Data] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.datamodule is None:
            return
        model = pl_module.model
        items = few_items(trainer.datamodule.val_data, self.number)
        if not items:
            return
        draw = getattr(model, "graphs", lambda item: [])
        drawn = draw(items[0].clone().to(pl_module.device))
        if all(graph is None for graph in drawn):
            raise ValueError(
                f"callbacks=measures: a {model_name(model)} draws no graphs: leave it out, or "
                "take a model of attention"
            )
        if trainer.is_global_zero:  # all processes refuse, one measures
            self._items = items

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._items and not self.rows:  # where it starts from
            self._add(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking and self._items:
            self._add(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._items:
            return
        if not self.rows or self.rows[-1]["step"] < trainer.global_step:  # without a validation
            self._add(trainer, pl_module)
        if self.rows:
            save(measure_curves(self.rows), Path(trainer.default_root_dir) / FILE)

    def _add(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        found = layer_measures(pl_module.model, self._items, pl_module.device)
        # A run resumed from the end of an epoch may validate that epoch again.
        self.rows = [row for row in self.rows if row["step"] < step]
        self.rows += [{"step": step, "layer": layer, **of} for layer, of in found.items()]
        values = {
            f"{FILE}/layer_{layer}/{name}": value
            for layer, of in found.items()
            for name, value in of.items()
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [[cell(row.get(name)) for name in columns] for row in self.rows]
        write_csv(Path(trainer.default_root_dir) / f"{FILE}.csv", columns, lines)


def few_items(items: Sequence[Data], number: int) -> list[Data]:
    """The first small ones; where all are large, the beginnings of the first."""
    small = []
    for place in range(len(items)):
        if items[place].num_nodes <= LONGEST:
            small.append(items[place])
        if len(small) == number:
            break
    if small:
        return small
    first = torch.arange(LONGEST)
    return [items[place].subgraph(first) for place in range(min(number, len(items)))]


def layer_measures(model: nn.Module, items: Sequence[Data], device: Any) -> dict[int, dict]:
    """The measures of each layer that draws graphs, by its number from 1, and its own numbers."""
    seen: dict[int, list[Topology]] = {}
    for item in items:
        graphs = model.graphs(item.clone().to(device))
        graphs = [graph if graph is not None and _is_finite(graph) else None for graph in graphs]
        if all(graph is None for graph in graphs):
            continue
        found = inspect_attention(item, graphs, [""] * item.num_nodes)
        for (layer, _), measures in found.measures.items():
            seen.setdefault(layer, []).append(measures)
    numbers = single_numbers(model)
    result = {}
    for layer, measures in sorted(seen.items()):
        values = np.array(measures, dtype=float)
        there = ~np.isnan(values)
        means = np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1)
        known = zip(Topology._fields, means.tolist(), there.any(0).tolist(), strict=True)
        result[layer] = {name: mean for name, mean, is_known in known if is_known}
        result[layer] |= numbers.get(layer, {})
    return result


def single_numbers(model: nn.Module) -> dict[int, dict[str, float]]:
    """Of each block, by its number from 1, the means of its parameters that are single numbers or
    one for each head."""
    found: dict[int, dict[str, list[float]]] = {}
    if callable(getattr(model, "learned", None)):  # an adapter says it itself
        for key, value in model.learned().items():
            layer, *_, name = key.split(".")
            found.setdefault(int(layer) + 1, {}).setdefault(name, []).append(float(value.mean()))
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        if head == "blocks" and parameter.dim() < 2 and _is_single(rest[-1]):
            of_layer = found.setdefault(int(rest[0]) + 1, {})
            of_layer.setdefault(rest[-1], []).append(float(parameter.detach().float().mean()))
    return {
        layer: {name: float(np.mean(values)) for name, values in of.items()}
        for layer, of in found.items()
    }


def _is_single(name: str) -> bool:
    """Whether a parameter says something by itself: no weight, and none that is yet to be bent."""
    return name not in WEIGHTS and not name.startswith("raw_")


def _is_finite(graph: Data) -> bool:
    return bool(graph.edge_weight.isfinite().all())
