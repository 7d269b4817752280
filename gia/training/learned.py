"""What an adapter learns while it is trained, as tables and pictures."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch_geometric.data import Data

from gia.analysis.edge_statistics import edge_statistics
from gia.analysis.figures import save
from gia.analysis.learned_figures import learned_heat_maps
from gia.analysis.prediction_table import number_cell, write_csv

LEARNED, EDGES = "learned", "edges"
LONGEST = 256  # tokens of a text whose graphs are looked at


class Learned(Callback):
    """At each validation, note how much an adapter's messages count and along which edges they go.

    ``learned.csv`` has a row for each step, layer and place: the mean of g, scales, gates,
    thresholds and :math:`\\epsilon` there, and of their absolute values; ``learned.png`` draws
    them. ``edges.csv`` has what :func:`gia.analysis.edge_statistics` says of each layer's graph.
    All of it is kept in the checkpoint, so that a resumed run's are whole. Of an adapter that sends
    no messages nothing is written. It is of the weights that are being trained, also where averages
    of them are validated.

    Args:
        number (int): Of how many validation texts, the first ones, the graphs are looked at, up to
            256 tokens each.

    Raises:
        ValueError: If the number is negative.
    """

    def __init__(self, number: int = 4):
        if number < 0:
            raise ValueError(f"callbacks.learned.number must be at least 0, got {number}")
        self.number = number
        self.values: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values, "edges": self.edges}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.values, self.edges = list(state_dict["values"]), list(state_dict["edges"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = pl_module.model
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        if not trainer.is_global_zero or trainer.datamodule is None:
            return
        step, folder = trainer.global_step, Path(trainer.default_root_dir)
        # A run resumed from the end of an epoch may validate that epoch again.
        self.values = [row for row in self.values if row["step"] < step]
        self.edges = [row for row in self.edges if row["step"] < step]
        for key, value in model.learned().items():
            layer, _, place = key.partition(".")
            site, _, name = place.rpartition(".")
            means = {"mean": float(value.mean()), "mean_abs": float(value.abs().mean())}
            self.values.append(
                {"step": step, "layer": int(layer), "site": site, "name": name, **means}
            )
        texts = trainer.datamodule.val_data
        looked = [
            [
                graph.cpu()
                for graph in model.graphs(_beginning(texts[i], pl_module.device))
                if graph is not None
            ]
            for i in range(min(self.number, len(texts)))
        ]
        for graphs in zip(*looked, strict=True):  # of a layer
            layer = int(graphs[0].layer)
            self.edges.append({"step": step, "layer": layer, **edge_statistics(graphs)})
        if self.values:
            _write(folder / f"{LEARNED}.csv", self.values)
            save(learned_heat_maps(self.values), folder / LEARNED)
        if self.edges:
            _write(folder / f"{EDGES}.csv", self.edges)


def _beginning(text: Data, device: torch.device) -> Data:
    """Its first tokens: the edges of long texts would not fit beside a training."""
    token = text.token[:LONGEST].to(device)
    return Data(token=token, num_nodes=len(token))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [
        [number_cell(cell) if isinstance(cell, float) else str(cell) for cell in row.values()]
        for row in rows
    ]
    write_csv(path, list(rows[0]), lines)
