"""What the graphs of a model become while it is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn
from torch_geometric.data import Data

from gia.analysis.figures import save
from gia.analysis.inspection import inspect_attention
from gia.analysis.measure_figures import measure_curves
from gia.analysis.prediction_table import number_cell, write_csv
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
        number (int): How many validation items: the first of at most 128 nodes, or the beginnings
            of the first sequences where all are longer.

    Raises:
        ValueError: If the number is below 1; when training starts, if the model draws no graphs.
    """

    def __init__(self, number: int = 2):
        if number < 1:
            raise ValueError(f"callbacks.measures.number must be at least 1, got {number}")
        self.number = number
        self.rows: list[dict[str, Any]] = []
        self._items: list[Data] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.datamodule is None or not trainer.is_global_zero:
            return
        model = pl_module.model
        self._items = few_items(trainer.datamodule.val_data, self.number)
        there = callable(getattr(model, "graphs", None))
        found = layer_measures(model, self._items, pl_module.device) if there else {}
        if self._items and not found:
            raise ValueError(
                f"callbacks=measures: a {model_name(model)} draws no graphs: leave it out, or "
                "take a model of attention"
            )
        if not self.rows:  # where it starts from
            self._add(trainer, found)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not self._items:
            return
        self._add(trainer, layer_measures(pl_module.model, self._items, pl_module.device))
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [[_cell(row.get(name)) for name in columns] for row in self.rows]
        write_csv(Path(trainer.default_root_dir) / f"{FILE}.csv", columns, lines)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.rows and trainer.is_global_zero:
            save(measure_curves(self.rows), Path(trainer.default_root_dir) / FILE)

    def _add(self, trainer: pl.Trainer, found: dict[int, dict[str, float]]) -> None:
        step = trainer.global_step
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


def few_items(items: Sequence[Data], number: int) -> list[Data]:
    """The first small ones, or the beginnings of the first sequences."""
    small = []
    for place in range(len(items)):
        if items[place].num_nodes <= LONGEST:
            small.append(items[place])
        if len(small) == number:
            return small
    if small:
        return small
    first = [items[place] for place in range(min(number, len(items)))]
    if all(item.get("token") is not None and item.get("seq_pos") is not None for item in first):
        return [
            Data(token=item.token[:LONGEST], seq_pos=item.seq_pos[:LONGEST], num_nodes=LONGEST)
            for item in first
        ]
    return [min(first, key=lambda item: item.num_nodes)] if first else []


def layer_measures(model: nn.Module, items: Sequence[Data], device: Any) -> dict[int, dict]:
    """The measures of each layer that draws graphs, by its number from 1, and its own numbers."""
    seen: dict[int, list[Topology]] = {}
    for item in items:
        graphs = model.graphs(item.clone().to(device))
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
    for name, parameter in model.named_parameters():
        head, *rest = name.split(".")
        if head == "blocks" and parameter.dim() < 2 and rest[-1] not in WEIGHTS:
            of_layer = found.setdefault(int(rest[0]) + 1, {})
            of_layer.setdefault(rest[-1], []).append(float(parameter.detach().float().mean()))
    return {
        layer: {name: float(np.mean(values)) for name, values in of.items()}
        for layer, of in found.items()
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else number_cell(value)
