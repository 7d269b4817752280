"""The datamodule of labelled graphs: source -> graphs -> encodings -> targets -> split -> loaders.

What a run trains on, and what a trained model predicts, take the same way: a datamodule made by
:meth:`GraphDataModule.for_prediction` reads its source with the trained model's classes, puts every
graph into one part and asks for no target.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data import graph_report
from gia.data.bad_rows import listed, refuse, sort_out
from gia.data.base import BaseDataModule, choose
from gia.data.cache import digest, processed
from gia.data.encodings import add_encodings
from gia.data.graph_inputs import features, fit_to_model, training_statistics
from gia.data.graph_table import GraphSource, GraphTable, progress
from gia.data.sampler import GraphBatchSampler
from gia.data.similarity import DEFAULT_THRESHOLD
from gia.data.splits import (
    Split,
    given_split,
    kfold_split,
    no_split,
    random_split,
    scaffold_split,
    similarity_split,
)
from gia.data.targets import read_targets

SPLITS = ("random", "scaffold", "similarity", "given", "kfold", "none")
TARGET_TYPES = ("regression", "classification")
# What a split compares.
COMPARED = {"scaffold": ("smiles", "molecules"), "similarity": ("sequence", "sequences")}


class GraphDataModule(BaseDataModule):
    """Graphs of a source with targets, encoded, split and batched.

    Args:
        source: where the graphs come from.
        target_type: ``"regression"`` or ``"classification"``.
        split: ``"random"``, ``"scaffold"``, ``"similarity"``, ``"given"``, ``"kfold"``, or
            ``"none"``: all for the test.
        split_seed: of the split, so that runs with different seeds are tested alike.
        fold: which of the folds is tested, from 0.
        folds: their number.
        val_fraction: share of the graphs for validation.
        test_fraction: share for the test.
        similarity_k: letters of a k-mer in the similarity split; None lets the alphabet decide.
        similarity_threshold: share of k-mers that keeps two sequences together.
        rwse: steps of the random-walk encoding; 0 for none.
        laplacian: eigenvectors of the Laplacian encoding; 0 for none.
        batch_size: the most graphs of a batch.
        num_workers: processes that fetch batches.
        strict: make an error of what would be skipped, masked or read as ``<unk>``.
        seed: of the batches.
        class_names: of a trained model; None takes the classes from the data.
        predict_for: the ``inputs`` of a trained model, for which no target is needed: see
            :meth:`for_prediction`.

    Attributes:
        graphs: the graphs with a target, or in a prediction all of them, in the source's order,
            from :meth:`setup` on. Each has ``x``, ``edge_index``, ``y``, ``name``, ``row``,
            ``text``, and ``edge_attr``, ``seq_pos``, ``rwse`` and ``laplacian`` if there are any.
        rejected: the rows without a graph: ``row`` (from 0), ``name`` and ``reason`` of each.
        masked: the rows with a graph that lacks a target, in the same form.
        target_names: of the targets.
        class_names: the classes, in the order of their numbers in ``y``.
        level: ``"graph"`` or ``"node"``.
        left_out, unknown, cut, kind: as in :class:`gia.data.graph_table.GraphTable`.

    Shapes:
        y: [1, T] of each graph, or [N, T] for targets of nodes, float32; NaN where it is missing

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        *,
        source: GraphSource,
        target_type: str = "regression",
        split: str = "random",
        split_seed: int = 0,
        fold: int = 0,
        folds: int = 10,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        similarity_k: int | None = None,
        similarity_threshold: float = DEFAULT_THRESHOLD,
        rwse: int = 0,
        laplacian: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
        strict: bool = False,
        seed: int = 0,
        class_names: Sequence[str] | None = None,
        predict_for: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(split_seed=split_seed, seed=seed, num_workers=num_workers)
        choose("split", split, dict.fromkeys(SPLITS))
        choose("target_type", target_type, dict.fromkeys(TARGET_TYPES))
        for option, value in (("rwse", rwse), ("laplacian", laplacian)):
            if value < 0:
                raise ValueError(f"data.{option} must be at least 0, got {value}")
        GraphBatchSampler(0, batch_size)
        fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
        similarity = {"k": similarity_k, "threshold": similarity_threshold}
        folded = {"folds": folds, "fold": fold, "val_fraction": val_fraction}
        self._splitters = {
            "random": partial(random_split, **fractions, seed=split_seed),
            "scaffold": partial(scaffold_split, **fractions),
            "similarity": partial(similarity_split, **fractions, seed=split_seed, **similarity),
            "kfold": partial(kfold_split, **folded, seed=split_seed),
            "given": given_split,
            "none": no_split,
        }
        self._options = {
            "target_type": target_type,
            "rwse": rwse,
            "laplacian": laplacian,
            "batch_size": batch_size,
            "num_workers": num_workers,
            "strict": strict,
        }
        self.source, self.target_type, self.strict = source, target_type, strict
        self.rwse, self.laplacian, self.batch_size = rwse, laplacian, batch_size
        self.class_names = None if class_names is None else list(class_names)
        self._split_name, self._model = split, predict_for

    def for_prediction(
        self, inputs: dict[str, Any], path: str | None = None, **columns: Any
    ) -> GraphDataModule:
        """Another datamodule with graphs for a trained model, all of them in the test part.

        Targets may be absent: they are NaN then. This datamodule stays as it is.

        Args:
            inputs: what the model knows of its data, see :meth:`inputs`.
            path: another file to read, in the source's way; None reads the same data.
            **columns: its columns where they have other names, such as ``smiles_column``.

        Raises:
            ValueError: if the source reads no file; and at :meth:`setup`, if its graphs are not
                such as the model knows.
        """
        if path is None and columns:
            raise ValueError(f"{', '.join(columns)} name columns of a file: give data.path=... too")
        source = self.source if path is None else self.source.with_file(path, **columns)
        return GraphDataModule(
            source=source,
            split="none",
            class_names=inputs["class_names"] if self.target_type == "classification" else None,
            predict_for=inputs,
            **self._options,
        )

    def setup(self, stage: str | None = None) -> None:
        """Read the graphs, encode and split them; a second call changes nothing.

        Graphs are encoded once and kept in ``$GIA_CACHE/processed``.

        Raises:
            OSError, ImportError: if the source cannot be read.
            ValueError: if the data cannot be trained on, see the message.
        """
        if self.graphs:
            return
        table = self._read()
        regression, predicting = self.target_type == "regression", self._model is not None
        targets = read_targets(table, self.target_type, self.class_names)
        if predicting:
            kept, rejected, masked = range(len(table.graphs)), table.rejected, targets.masked
        else:
            kept, rejected, masked = sort_out(table, targets)
        if self.strict:
            refuse(table, sorted([*rejected, *masked], key=lambda entry: entry.row))
        if not kept:
            hint = "" if predicting or not regression else "; for classes use task=classification"
            raise ValueError(
                f"no graph with a target is left of {len(rejected)} rows: {listed(rejected)}{hint}"
            )
        graphs = [table.graphs[i] for i in kept]
        for i, data in zip(kept, graphs, strict=True):
            data.y = targets.y[i]
        if not regression and not predicting:
            _check_classes(graphs, targets.class_names)
        split = self._assign(table, kept)
        train = [data for data, part in zip(graphs, split.part, strict=True) if part == 0]
        names = table.target_names
        self._inputs = features(table) | {
            "vocab_size": 0,
            "encodings": self._encodings(),
            "target_names": list(names),
            "class_names": list(targets.class_names),
            "out_channels": len(names) * max(1, len(targets.class_names)),
            **training_statistics(train, names, regression),
        }
        self.rejected = [vars(entry) for entry in rejected]
        self.masked = [vars(entry) for entry in masked]
        self.target_names, self.class_names = names, targets.class_names
        self.level, self.left_out, self.unknown = table.level, table.left_out, table.unknown
        self.kind = table.kind
        self.cut = [table.cut[i] for i in kept] if table.cut else []
        self.texts, self.split, self.graphs = [data.text for data in graphs], split, graphs

    def inputs(self) -> dict[str, Any]:
        """What a model must know of the data, as plain values.

        ``node_categories`` and ``edge_categories`` are sizes of categorical columns,
        ``node_channels`` and ``edge_channels`` numbers of continuous ones; ``rwse`` and
        ``laplacian`` the widths of the encodings; ``ordered`` says that nodes have positions;
        ``level`` is ``graph`` or ``node``; ``out_channels`` is T for regression and T times the
        number of classes for classification. ``target_mean``, ``target_std`` and
        ``degree_histogram`` are of the training part alone.
        """
        self.setup()
        return dict(self._inputs)

    def summary(self) -> dict[str, Any]:
        """What was read, what was lost on the way and how it was split: see the keys."""
        return graph_report.summary(self)

    def _encodings(self) -> dict[str, int]:
        known = {"random_walk_pe": self.rwse, "laplacian_eigenvector_pe": self.laplacian}
        return {name: columns for name, columns in known.items() if columns}

    def _read(self) -> GraphTable:
        if self._model is None:
            key = digest(self.source.digest(), self.rwse, self.laplacian)
            return processed(key, self._build)
        table = self._build()
        if table.graphs:
            fit_to_model(table, self._model)
        return table

    def _build(self) -> GraphTable:
        table = self.source.load(labelled=self._model is None)
        if self.rwse or self.laplacian:
            for data in progress(table.graphs, len(table.graphs), "encoding graphs"):
                add_encodings(data, self.rwse, self.laplacian)
        return table

    def _assign(self, table: GraphTable, kept: Sequence[int]) -> Split:
        graphs = [table.graphs[i] for i in kept]
        texts = [data.text for data in graphs]
        name, split = self._split_name, self._splitters[self._split_name]
        kind, what = COMPARED.get(name, (table.kind, ""))
        if kind != table.kind:
            other = {"smiles": "scaffold", "sequence": "similarity"}.get(table.kind, "random")
            raise ValueError(f"data.split={name} compares {what}: use data.split={other} here")
        if name == "given":
            if table.parts is None:
                raise ValueError(
                    "data.split=given needs a column that says train, val or test: give "
                    "data.split_column=..., or use another split"
                )
            return split([table.parts[i] for i in kept])
        one_class = self.target_type == "classification" and len(table.target_names) == 1
        if name == "kfold" and one_class and table.level == "graph":
            return split(texts, classes=torch.cat([data.y for data in graphs])[:, 0].long())
        return split(texts)

    def _sampler(self, graphs: list[Data], **kwargs: Any) -> GraphBatchSampler:
        return GraphBatchSampler(len(graphs), self.batch_size, **kwargs)


def _check_classes(graphs: list[Data], class_names: list[str]) -> None:
    y = torch.cat([data.y for data in graphs])
    present = [class_names[int(i)] for i in y[~y.isnan()].unique()]
    if len(present) < 2:
        raise ValueError(
            f"there must be at least two classes to tell apart, but all targets are {present[0]}"
        )
