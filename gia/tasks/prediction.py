"""Prediction: properties of whole graphs or of their nodes."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.analysis.prediction_table import number_cell
from gia.analysis.predictions import Predictions
from gia.analysis.summary import write_summary
from gia.analysis.track_figures import Track
from gia.data.bounds import is_bounded
from gia.nn import DropoutSamples, LanguageModel, Several
from gia.tasks import tables
from gia.tasks.calibrated import Calibrated
from gia.tasks.metrics import Metrics
from gia.tasks.report import (
    FinishedRun,
    best_epoch,
    costs,
    of_test,
    picture_a_graph,
    picture_contacts,
    picture_curves,
    print_reliability,
    print_test,
)
from gia.tasks.tracks import picture_sequences
from gia.tasks.weights import target_weights as weights_of

# What of a graph, or of its nodes, a task compares its output with.
COMPARED = ("y", "y_bounds", "weight")


class Prediction(Calibrated):
    """What tasks share that predict targets of whole graphs or of their nodes.

    A new one gives :meth:`loss`, its metrics and ``predict_step``; of the rest it changes what is
    not about plain numbers.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        target_names (list of str): The targets, ``[T]``.
        level (str): What has targets, ``"graph"`` or ``"node"``.
        metrics (callable): As in :class:`~gia.tasks.Supervised`.
        target_weights (list or dict, optional): How much each target counts in the loss, see
            :func:`gia.tasks.weights.target_weights`.
        mean_weight (float): The mean of ``batch.weight`` over the training split.

    Shapes:
        - **batch.y:** ``[R, T]`` for R graphs or nodes; NaN where missing
        - **batch.weight:** ``[R]``, how much each counts in the loss; optional

    Raises:
        ValueError: If there is no target or no such level, or weights do not fit the targets.
    """

    TRIVIAL_NAME = ""  # whose metrics :meth:`trivial_output` gives

    def __init__(
        self,
        model: nn.Module,
        *,
        target_names: Sequence[str],
        level: Literal["graph", "node"] = "graph",
        metrics: Callable[[str], Metrics],
        target_weights: Any = None,
        mean_weight: float = 1.0,
        **kwargs: Any,
    ):
        if not target_names:
            raise ValueError("there is no target to predict: target_names is empty")
        if level not in ("graph", "node"):
            raise ValueError(f"level must be graph or node, got {level!r}")
        if isinstance(model, LanguageModel):
            raise ValueError(
                f"a language model says what comes next, and not {', '.join(target_names[:3])}: "
                "choose model=graph_transformer, or model=sequence_transformer with init_from="
            )
        super().__init__(model, metrics=metrics, **kwargs)
        self.target_names, self.level = list(target_names), level
        self.units: list[str | None] = [None] * len(target_names)
        of_targets = None if target_weights is None else weights_of(target_weights, target_names)
        self.register_buffer("target_weights", of_targets, persistent=False)
        self.mean_weight = mean_weight

    def weight(self, data: Data) -> Tensor | None:
        """How much each target counts in the loss, ``[R, T]`` or ``[R, 1]``, 1 in the mean over
        training; None if all count the same."""
        weight = data.get("weight")
        if weight is not None:
            weight = weight[:, None] / self.mean_weight
        if self.target_weights is not None:
            of_row = 1 if weight is None else weight
            weight = (of_row * self.target_weights).expand(len(data.y), -1)
        return weight

    def output(self, batch: Batch) -> Tensor:
        """The model's output in float32 at least, ``[R, T, ...]``; what an ensemble's members or
        the samples of :meth:`use_dropout` say together."""
        return self.combined(self.answers(batch))

    def answers(self, batch: Batch) -> Tensor:
        """What each of M members or samples predicts, ``[M, R, T, ...]``, to be combined."""
        return self.outputs(batch)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return self.loss_of(self.output(batch), batch), len(batch.y)

    def scored(self, batch: Batch, weight: int) -> Tensor:
        return (~batch.y.isnan() | is_bounded(batch)).sum()

    def loss_of(self, output: Tensor, data: Data) -> Tensor:
        """The loss of an output ``[R, T, ...]``, however it was come by."""
        raise NotImplementedError

    def outputs(self, batch: Batch) -> Tensor:
        """What each of M members or samples says, ``[M, R, T, ...]``; M is 1 for a model alone."""
        raw = self.model(batch)
        each = raw if isinstance(self.model, Several) else [raw]
        return torch.stack([self._shaped(one) for one in each])

    def combined(self, outputs: Tensor) -> Tensor:
        """What M members say together, ``[R, T, ...]``; exactly what one says alone."""
        return outputs[0] if len(outputs) == 1 else self.combine(outputs)

    def combine(self, outputs: Tensor) -> Tensor:
        """:meth:`combined` of several."""
        return outputs.mean(0)

    def use_dropout(self, samples: int) -> None:
        """Predict with dropout from now on, as the mean over so many samples. These are others
        than the predictions that were calibrated: nothing of that is left.

        Raises:
            ValueError: As :class:`~gia.nn.DropoutSamples`.
        """
        self.model, self.calibration = DropoutSamples(self.model, samples), None

    def _shaped(self, output: Tensor) -> Tensor:
        channels = self.channels
        if output.dim() != 2 or output.size(1) != channels:
            raise ValueError(
                f"the model must give [.., {channels}], {list(self.output_shape)} for each "
                f"{self.level}, but gave {list(output.shape)}: is its out_channels right?"
            )
        return self.shaped(output.to(torch.promote_types(output.dtype, torch.float32)))

    def predict_freely(self, batch: Batch) -> Tensor:
        """What ``predict_step`` gives, where it is held within no range: what an explanation takes
        apart."""
        return self.predict_step(batch, 0)

    def predict_with_uncertainty(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What ``predict_step`` gives, and the standard deviation of numbers.

        Returns:
            Output, and ``[R, T]`` in physical units; None where nothing gives one, and for classes,
            whose probabilities say it.
        """
        return self.predict_step(batch, 0), None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what is said of one graph or node."""
        return (len(self.target_names),)

    @property
    def channels(self) -> int:
        """How many numbers the model gives of each graph or node."""
        return math.prod(self.output_shape)

    def shaped(self, output: Tensor) -> Tensor:
        """The model's output ``[R, channels]`` as ``[R, *output_shape]``."""
        return output.reshape(-1, *self.output_shape)

    def measure(self, metrics: Metrics, batch: Batch) -> None:
        self.compare(metrics, self.output(batch), batch)

    def compare(self, metrics: Metrics, output: Tensor, data: Data) -> None:
        """Add outputs to the metrics, beside what the data knows: ``y`` in physical units."""
        metrics.update(output, data.y)

    def check_predicts(self) -> None:
        """It does."""

    def trivial_output(self, seen: Tensor) -> Tensor | None:
        """What who looks at no graph would say, as the model's output, ``[T, ...]``.

        Args:
            seen (Tensor): The targets of the training split, ``[R, T]``.

        Returns:
            The same for every graph; None if nothing is to be compared with.
        """
        return None

    def trivial_metrics(
        self, train: Sequence[Data], measured: Sequence[Data]
    ) -> dict[str, float] | None:
        """Metrics of :meth:`trivial_output`.

        Args:
            train (list of Data): The training split.
            measured (list of Data): What to measure on.
        """
        seen = torch.cat([graph.y for graph in train]).to(self.device)
        guess = self.trivial_output(seen)
        if guess is None:
            return None
        data = _joined(measured).to(self.device)
        metrics = self.make_metrics("test").to(self.device)
        self.compare(metrics, guess.expand(len(data.y), *guess.shape), data)
        with warnings.catch_warnings(action="ignore"):  # of absent classes: the model's own did
            return {name: float(value) for name, value in metrics.compute().items()}

    @torch.inference_mode()
    def predictions(
        self,
        batches: Iterable[Batch],
        *,
        trainer: pl.Trainer | None = None,
        limit: int | None = None,
    ) -> Predictions:
        """Predict all batches of a loader, where the model is; calibrated if the task is.

        Args:
            batches (iterable of Batch): As of a datamodule's ``loader(part)``.
            trainer (Trainer, optional): Whose precision to predict in.
            limit (int, optional): The most batches.
        """
        self.eval()
        result = Predictions()
        targets, outputs, stds = [], [], []
        precision = contextlib.nullcontext
        if trainer is not None:
            precision = trainer.precision_plugin.predict_step_context
        for batch in islice(batches, limit):
            with precision():
                output, std = self.predict_with_uncertainty(batch.to(self.device))
            outputs.append(output.cpu())
            if std is not None:
                stds.append(std.cpu())
            targets.append(batch.y.cpu())
            result.texts |= dict(zip(batch.row.tolist(), batch.get("text", ()), strict=False))
            if "y_bounds" in batch:
                result.bounds += batch.y_bounds.tolist()
            sizes = batch.ptr.diff().tolist()
            graphs = list(zip(batch.name, batch.row.tolist(), sizes, strict=True))
            if self.level == "node":
                graphs = [(name, row, node) for name, row, size in graphs for node in range(size)]
                result.nodes += [node for *_, node in graphs]
            result.names += [name for name, *_ in graphs]
            result.rows += [row for _, row, _ in graphs]
        if outputs:
            result.target, result.output = torch.cat(targets), torch.cat(outputs)
            result.std = torch.cat(stds) if stds else None
        return self.calibrated(result) if outputs and self.calibration is not None else result

    def predict_table(self, data: Any, out: Path, key: str | None = None) -> dict[str, Any]:
        """Write the whole table of a datamodule's source again, with predictions.

        Behind its columns stand those of :meth:`columns`, ``similarity_to_training`` if that is
        known, and, if a row could not be predicted, ``problem`` with the reason. A cell holds what
        is said of all nodes, where nodes have targets.

        A large table is read and predicted in parts. What is said of them is kept in the folder
        ``OUT.parts`` until all of it is, so that who is interrupted goes on.

        Args:
            data (DataModule): Of ``for_model``.
            out (Path): The CSV to write.
            key (str, optional): Of everything but the table that the predictions depend on; None
                keeps nothing.

        Returns:
            How many rows were ``predicted`` and how many not (``problems``); how many are ``far``
            from the training, if that is known; and the rows with a feature that is no number
            (``filled``), if there are any.

        Raises:
            ValueError: If the table already has a column of these names.
        """
        return tables.predict_table(self, data, out, key)

    def predict_part(self, data: Any, part: str, out: Path) -> dict[str, Any]:
        """Write the predictions of one part of the data, with names, rows and targets.

        Args:
            data (DataModule): The data.
            part (str): ``"train"``, ``"val"`` or ``"test"``.
            out (Path): The CSV to write.

        Returns:
            How many graphs or nodes were ``predicted``; none has ``problems``; ``far`` and
            ``filled`` as above.
        """
        return tables.predict_part(self, data, part, out)

    def columns(self) -> list[str]:
        """Names of what :meth:`cells` gives."""
        return [*self.output_columns(), *self.std_columns(), *self.interval_columns()]

    def cells(self, found: Predictions) -> list[list[str]]:
        """What was predicted of each row as text: :meth:`output_cells`, then uncertainties and the
        ends of intervals."""
        cells = [self.output_cells(output) for output in found.output]
        more = [] if found.std is None else [found.std]
        if found.lower is not None:
            learned = self.calibration.learned
            more += [found.lower[:, learned], found.upper[:, learned]]
        for values in more:
            for row, numbers in zip(cells, values.tolist(), strict=True):
                row += [number_cell(value) if math.isfinite(value) else "" for value in numbers]
        return cells

    def predicted(self, output: Tensor) -> Tensor:
        """The prediction in what ``predict_step`` gives, of which it may be a part."""
        return output

    @property
    def uncertain(self) -> bool:
        """Whether :meth:`predict_with_uncertainty` gives a standard deviation."""
        return False

    def std_columns(self) -> list[str]:
        """Names of the uncertainties, where there are any."""
        return [f"uncertainty_{name}" for name in self.target_names] if self.uncertain else []

    def output_columns(self) -> list[str]:
        """Names of what :meth:`output_cells` gives."""
        return [f"predicted_{target}" for target in self.target_names]

    def output_cells(self, output: Tensor) -> list[str]:
        """One row of ``predict_step`` as text."""
        return [number_cell(value) for value in output.tolist()]

    def target_cells(self, target: Tensor) -> list[str]:
        """The targets of one row as text, ``[T]`` before; a missing one is empty."""
        return ["" if value != value else number_cell(value) for value in target.tolist()]

    def between_nodes(self, column: str) -> str:
        """What stands between the cells of a graph's nodes, where they are written as one."""
        return " "

    def picture(self, predictions: Predictions, folder: Path) -> list[Path]:
        """Draw predictions beside what is known, and return the files."""
        return []

    @property
    def metric_units(self) -> dict[str, str]:
        """The unit of each metric that has one, where it is that of all targets."""
        return {}

    def tracks(self, chains: Sequence[Track], target: int, title: str) -> Figure | None:
        """Draw what is said of a target's nodes along a few sequences; None draws nothing."""
        return None

    def report(
        self, run: FinishedRun, metrics: dict[str, float], console: Console
    ) -> dict[str, Any]:
        """Write the pictures, ``predictions.csv``, ``summary.json`` and the final table of a run.

        Args:
            run (FinishedRun): The run, fitted.
            metrics (dict): Its test metrics.
            console (Console): Where the table goes.

        Returns:
            What ``summary.json`` holds.
        """
        data = run.datamodule
        batches = run.trainer.num_test_batches[0]  # a few in a run to see if everything works
        limit = None if batches == float("inf") else int(batches) * run.trainer.world_size
        found = self.predictions(data.loader("test"), trainer=run.trainer, limit=limit)
        tables.compare_with_training(self, data, found)
        tables.write_predictions(self, found, run.folder / "predictions.csv")
        reliability = {} if self.calibration is None else self.reliability(found)
        trivial = self.trivial_metrics(data.train_data, data.val_data)
        baseline = None if trivial is None else trivial["loss"]
        pictures = [
            *picture_curves(run, baseline, self.TRIVIAL_NAME),
            *self.picture(found, run.folder),
            *picture_sequences(self, data, found, run.folder),
            *picture_a_graph(run, console),
            *picture_contacts(run),
        ]
        units = dict(zip(self.target_names, self.units, strict=True))
        summary = {
            "test": of_test(metrics),
            "trivial_test": self.trivial_metrics(data.train_data, data.test_data),
            "val": best_epoch(run),
            **({"reliability": reliability} if reliability else {}),
            **({"units": units} if any(self.units) else {}),
            **costs(run),
            **({"members": run.members} if run.members else {}),
            "data": data.summary(),
            "pictures": [picture.name for picture in pictures],
        }
        write_summary(run.folder, summary)
        print_test(self, summary, console)
        print_reliability(self, reliability, console)
        return summary


def _joined(graphs: Sequence[Data]) -> Data:
    """What is known of all graphs, without the graphs."""
    graphs = list(graphs)
    known = [key for key in COMPARED if key in graphs[0]]
    return Data(**{key: torch.cat([graph[key] for graph in graphs]) for key in known})
