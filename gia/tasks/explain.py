"""Why a model predicts what it does: the share of each atom or residue, as a table and drawn."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn.functional import one_hot
from torch_geometric.data import Batch, Data

from gia.analysis.attribution import integrated_gradients, node_encoders, occlusion
from gia.analysis.explained_figures import (
    Explained,
    common_scale,
    explained_page,
    explained_row,
)
from gia.analysis.figures import safe, save, with_unit
from gia.analysis.prediction_figures import MOST_PANELS
from gia.analysis.prediction_table import number_cell, write_csv
from gia.data.depict import depiction_of
from gia.data.node_labels import node_labels
from gia.tasks.prediction import Prediction

METHODS: dict[str, Callable[..., Tensor]] = {
    "occlusion": occlusion,
    "gradient": integrated_gradients,
}
TABLE = "attributions.csv"


class Explainer:
    """Explains predictions of whole graphs, and leaves a folder with a table and pictures.

    What can be refused is refused when it is made, before any work.

    Args:
        task (Prediction): What predicts.
        method (bool or str): ``"occlusion"``, which True stands for, or ``"gradient"``.
        folder (Path): Where to; what an earlier explanation left there is replaced.
        rows (int): The most graphs to explain, the first ones.

    Raises:
        ValueError: If there is no such method, no graph is asked for, or the task predicts each
            node or has no encoder of nodes.
        FileExistsError: If the folder holds other things.
    """

    def __init__(self, task: Prediction, method: bool | str, folder: Path, rows: int = 20):
        method = "occlusion" if method is True else method
        if method not in METHODS:
            known = ", ".join(["true", "false", *METHODS])
            raise ValueError(f"explain must be one of {known}, got {method!r}")
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise ValueError(f"explain_rows must be a whole number of at least 1, got {rows!r}")
        if task.level != "graph":
            raise ValueError(
                "explain is for predictions of whole graphs, but this model predicts each node: "
                "leave explain out"
            )
        if folder.exists() and not _holds_an_explanation(folder):
            raise FileExistsError(
                f"explain writes into {folder}, which is there already and holds other things: "
                "move it, or give another out=..."
            )
        self.task, self.method, self.folder, self.rows = task, METHODS[method], folder, rows
        self.encoders = node_encoders(task)
        # Of each target; None where targets are numbers.
        self.classes: list[list[str]] | None = getattr(task, "classes", None)

    def __call__(self, data: Any, part: str = "test") -> list[str]:
        """Explain the first graphs of one part of the data, and say what was done.

        Args:
            data (DataModule): Set up.
            part (str): ``"train"``, ``"val"`` or ``"test"``.
        """
        self.task.eval()
        graphs, kind = data.part(part), data.items.kind
        number = min(self.rows, len(graphs))
        chosen = _with_bar((graphs[place] for place in range(number)), number, "explaining")
        explained = [self.explain(graph, kind) for graph in chosen]
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        self._write(explained)
        self._draw([one for one in explained if one.drawable])
        said = f"{number:,} of {len(graphs):,} predictions explained in {self.folder}"
        notes = [said if number == len(graphs) else f"{said} (explain_rows={number})"]
        without = [one for one in explained if not one.drawable]
        if without:
            notes.append(
                f"{len(without):,} of them have no picture: row {without[0].row} "
                f"({without[0].name}) is no sequence, no crystal, and no molecules as PyG's "
                f"from_smiles makes them; {TABLE} has it"
            )
        return notes

    def explain(self, graph: Data, kind: str) -> Explained:
        """The prediction of one graph.

        Args:
            graph (Data): The graph.
            kind (str): What its ``text`` is, as of :class:`gia.data.items.Items`.
        """
        graph = graph.clone().to(self.task.device)
        with torch.no_grad():
            said = self._predict(Batch.from_data_list([graph]))
        chosen = None if self.classes is None else explained_classes(said[0], self.classes)

        def predict(batch: Batch) -> Tensor:
            freely = self.task.predicted(self.task.predict_freely(batch))
            return explained_numbers(freely, chosen)

        values = self.method(predict, graph, self.encoders)
        graph = graph.cpu()
        return Explained(
            row=graph.row,
            name=graph.name,
            kind=kind,
            labels=node_labels(graph, kind),
            output=explained_numbers(said, chosen)[0].cpu(),
            said=self._in_words(said[0].cpu()),
            classes=self._named(chosen),
            values=values.cpu(),
            depiction=depiction_of(graph, kind),
            component=graph.component.tolist() if "component" in graph else [],
        )

    def _predict(self, batch: Batch) -> Tensor:
        """A number for each target ``[R, T]``, or probabilities of its classes ``[R, T, C]``."""
        return self.task.predicted(self.task.predict_step(batch))

    def _in_words(self, output: Tensor) -> list[str]:
        """The prediction of each target."""
        if self.classes is None:
            return [f"{value:.3g}" for value in output.tolist()]
        if self.task.calibration is not None:  # as in the table of predictions
            output = self.task.calibration(output[None])[0]
        share, place = output.max(1)
        likeliest = zip(self.classes, place.tolist(), share.tolist(), strict=True)
        return [f"{names[place]} ({share:.2f})" for names, place, share in likeliest]

    def _named(self, chosen: Sequence[int] | None) -> list[str]:
        if chosen is None:
            return []
        return [names[place] for names, place in zip(self.classes, chosen, strict=True)]

    def _quantities(self) -> list[str]:
        """What is explained of each target."""
        if self.classes is None:
            pairs = zip(self.task.target_names, self.task.units, strict=True)
            return [with_unit(*pair) for pair in pairs]
        return [
            f"the log-odds of {target} = {names[1] if len(names) == 2 else 'the predicted class'}"
            for target, names in zip(self.task.target_names, self.classes, strict=True)
        ]

    def _write(self, explained: Sequence[Explained]) -> None:
        parts = ["component"] if explained and explained[0].component else []
        columns = ["name", "row", "node", *parts, "symbol"]
        for target in self.task.target_names:
            columns += [f"class_{target}"] if self.classes else []
            columns.append(f"attribution_{target}")
        write_csv(self.folder / TABLE, columns, (line for one in explained for line in _lines(one)))

    def _draw(self, explained: Sequence[Explained]) -> None:
        if not explained:
            return
        what = "a residue" if explained[0].kind == "sequence" else "an atom"
        names = [f"what {what} adds to {quantity}" for quantity in self._quantities()]
        ends = common_scale(explained)
        digits = len(str(max(one.row for one in explained)))
        for one in _with_bar(explained, len(explained), "drawing"):
            file = f"{one.row:0{digits}}_{safe(one.name)}"
            save(explained_row(one, names, ends), self.folder / file, kinds=["svg"])
        for target, name in enumerate(self.task.target_names[:MOST_PANELS]):
            file = f"explained_{safe(name)}" if len(names) > 1 else "explained"
            page = explained_page(explained, names[target], ends[target], target)
            save(page, self.folder / file)


def explained_classes(probability: Tensor, classes: Sequence[Sequence[str]]) -> list[int]:
    """Which class of each target is explained: the second of two, so that all graphs are of one
    scale, and else the likeliest.

    Args:
        probability (Tensor): Of one graph's classes, ``[T, C]``.
        classes (list of list of str): Of each target.
    """
    likeliest = probability.argmax(1).tolist()
    pairs = zip(classes, likeliest, strict=True)
    return [1 if len(names) == 2 else place for names, place in pairs]


def explained_numbers(output: Tensor, classes: Sequence[int] | None) -> Tensor:
    """Numbers in physical units, as they are; of probabilities the log-odds of a class.

    Args:
        output (Tensor): Of ``predict_step``: ``[B, T]`` or ``[B, T, C]``.
        classes (list of int, optional): Which class of each target; None for numbers.

    Shapes:
        - **output:** ``[B, T]``
    """
    if classes is None:
        return output
    chosen = one_hot(torch.tensor(classes, device=output.device), output.size(2)).bool()
    # The others' sum keeps its digits where 1 - probability would be 0.
    sides = output.masked_fill(~chosen, 0).sum(2), output.masked_fill(chosen, 0).sum(2)
    ours, others = (side.clamp(min=torch.finfo(side.dtype).tiny).log() for side in sides)
    return ours - others


def _lines(one: Explained) -> Iterator[list[Any]]:
    for node, (symbol, values) in enumerate(zip(one.labels, one.values.tolist(), strict=True)):
        cells = [number_cell(value) for value in values]
        if one.classes:
            cells = [cell for pair in zip(one.classes, cells, strict=True) for cell in pair]
        part = one.component[node : node + 1]
        yield [one.name, one.row, node, *part, symbol, *cells]


def _holds_an_explanation(folder: Path) -> bool:
    return folder.is_dir() and ((folder / TABLE).is_file() or not any(folder.iterdir()))


def _with_bar(items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
    console = Console(stderr=True)
    yield from track(
        items,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
