"""The datamodule: dataset -> items -> split -> batches, for data of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import Any

import torch
import torch_geometric.data
from pytorch_lightning import LightningDataModule
from torch.utils.data import Subset
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE

from gia.data import report
from gia.data.alphabets import check_letters
from gia.data.bad_rows import check_usable, refuse
from gia.data.batcher import Batcher
from gia.data.collect import Prepare, collect
from gia.data.columns import column_names
from gia.data.datasets import Dataset
from gia.data.datasets.base import TARGET_TYPES, check_choice
from gia.data.graph_features import FeatureReader, constant_note, feature_statistics
from gia.data.inputs import check_fit, describe, hidden_inputs, training_statistics
from gia.data.items import Items
from gia.data.loader import SequenceLoader
from gia.data.splits import Split, Splitter
from gia.data.splits.splitter import said_parts, strata
from gia.data.tokenizer import Tokenizer
from gia.data.tokenizers import read_tokenizer
from gia.data.transforms import LaplacianPE, Steps, in_order
from gia.data.units import units_of
from gia.data.view import View
from gia.data.weights import (
    balancing_weights,
    check_balanced,
    check_weighing,
    class_counts,
    lonely_classes,
    weigh,
    weight_statistics,
)

SPLITTING = tuple(field.name for field in fields(Splitter))


class DataModule(LightningDataModule):
    """Items of a dataset, transformed, split into three parts and batched.

    Args:
        dataset: one of gia's or PyG's, a sequence of ``Data``, or a class or function that makes
            one of ``options``. What an item holds: :mod:`gia.data.schema`.
        target_type: what is learned: ``"regression"``, ``"classification"``, ``"next_token"``, or
            ``"masked"``, what nodes are that are hidden.
        target: the attribute that holds the targets, where the dataset is not gia's own.
        level: ``"graph"`` or ``"node"``, what has targets there; None finds it from their shape.
        encodings: attributes that are positional encodings; None takes those that end in ``_pe``.
        split, split_seed, split_file, fold, folds, val_fraction, test_fraction, similarity_k,
            similarity_threshold, compared_column, inner_fold, inner_folds: of
            :class:`gia.data.Splitter`.
        split_column: a table's column, or an attribute of the items, that says ``train``, ``val``
            or ``test``, for ``split="given"``.
        weight_column: a table's column, or an attribute of the items, that says how much each
            counts in the loss; see :func:`gia.data.weights.weigh`.
        balanced: draw as many items of each class in an epoch, with repetition.
        units: of the targets, for figures and tables: see :func:`gia.data.units.units_of`.
        rwse: steps of ``random_walk_pe``, by PyG's ``AddRandomWalkPE``; 0 for none.
        laplacian: eigenvectors of ``laplacian_eigenvector_pe``, by :class:`gia.data.LaplacianPE`;
            0 for none.
        pre_transform: PyG's or your own transform, or a list of them, called with each item once;
            encodings and these come after the dataset's own ``transform``, if it has one, and are
            called as often as that.
        transform: the same, called with each item whenever it is fetched.
        features, feature_columns, features_path: features of whole graphs, one or several of
            ``rdkit_2d``, ``morgan``, ``peptide``, ``columns`` and ``file``: see
            :class:`gia.data.graph_features.FeatureReader`.
        batch_size, tokens_per_batch, num_workers, seed: of :class:`gia.data.Batcher`.
        strict: make an error of what would be skipped, masked or read as ``<unk>``.
        **options: of the dataset, where it is not made yet.

    Attributes:
        graphs: all items with a target, in the dataset's order, from :meth:`setup` on.
        texts: what the split compared, of each of them.
        split: where each of them goes.
        items: what is known of them all, such as ``class_names`` and ``rejected``.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        dataset: Sequence[Data] | Callable[..., Sequence[Data]],
        *,
        target_type: str = "regression",
        target: str = "y",
        level: str | None = None,
        encodings: Sequence[str] | None = None,
        split_column: str | None = None,
        weight_column: str | None = None,
        balanced: bool = False,
        units: Any = None,
        rwse: int = 0,
        laplacian: int = 0,
        pre_transform: Any = None,
        transform: Any = None,
        features: str | Sequence[str] | None = None,
        feature_columns: str | Sequence[str] | None = None,
        features_path: str | PathLike | None = None,
        batch_size: int | None = None,
        tokens_per_batch: int | None = None,
        num_workers: int = 0,
        strict: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self._settings = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "dataset", "options", "__class__")
        }
        splitting = {name: options.pop(name) for name in SPLITTING if name in options}
        self._settings |= splitting
        self.splitter = Splitter(**splitting)
        check_choice("target_type", target_type, TARGET_TYPES)
        check_choice("level", level, ("graph", "node", None))
        for option, value in (("rwse", rwse), ("laplacian", laplacian)):
            if value < 0:
                raise ValueError(f"data.{option} must be at least 0, got {value}")
        check_weighing(target_type, weight_column, balanced, tokens_per_batch)
        if options and not callable(dataset):
            raise ValueError(
                f"{', '.join(options)}: the dataset is made already, give it its options itself"
            )
        self.target_type, self.split_column, self.strict = target_type, split_column, strict
        self.weight_column, self.balanced, self.units = weight_column, balanced, units
        self.batcher = Batcher(batch_size, tokens_per_batch, num_workers, seed)
        walks = [AddRandomWalkPE(rwse)] if rwse else []
        vectors = [LaplacianPE(laplacian)] if laplacian else []
        self.pre_transform = Steps([*walks, *vectors, Steps(pre_transform)])
        self.transform = Steps(transform)
        named = [tuple(column_names(names)) for names in (features, feature_columns)]
        # What hides nodes says nothing of whole graphs, and would not be told by their features.
        self.features = FeatureReader(*([] if target_type == "masked" else [*named, features_path]))
        self._dataset, self._options = dataset, options
        self._configured: Dataset | None = None
        self._known: dict[str, Any] | None = None  # of a trained model: see for_model
        self._labelled = True
        self.items: Items | None = None
        self.graphs: Sequence[Data] = []
        self.texts: list[str] = []
        self.split: Split | None = None
        self._train_loader: SequenceLoader | None = None
        self._position: dict[str, int] = {}

    @property
    def dataset(self) -> Sequence[Data]:
        """The dataset, made when it is first asked for."""
        made = isinstance(self._dataset, torch.utils.data.Dataset)
        if callable(self._dataset) and not made:
            self._dataset = self._dataset(**self._options)
            if not hasattr(self._dataset, "__len__"):  # a generator
                self._dataset = list(self._dataset)
        while isinstance(self._dataset, Subset) and isinstance(
            self._dataset.dataset, torch_geometric.data.Dataset
        ):
            # PyG's own subset, whose transform and source can be seen.
            self._dataset = self._dataset.dataset[list(self._dataset.indices)]
        return self._dataset

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What made the symbols, if there are any."""
        return getattr(self._configured or self.dataset, "tokenizer", None)

    def setup(self, stage: str | None = None) -> None:
        """Read the items and split them; a second call changes nothing.

        Raises:
            OSError, ImportError: if the dataset cannot be read.
            ValueError: if the data cannot be trained on, see the message.
        """
        if self.items is not None:
            return
        items = self.features(self._read(), self.dataset, keep=self._labelled)
        if self.strict:
            entries = [*items.rejected, *items.masked, *items.filled]
            refuse(items, sorted(entries, key=lambda entry: entry.row))
        predicting = self._known is not None
        check_usable(items, self.target_type, predicting=predicting)
        check_letters(items, self.tokenizer, predicting=predicting)
        graphs = items.graphs
        self.batcher.sampler(graphs)  # a budget below the longest fails before longer work
        base = graphs.graphs if isinstance(graphs, View) else graphs
        if self.weight_column is not None and self._labelled:
            weigh(base, self.dataset, self.weight_column, items.level)
        rows, texts = [int(data.row) for data in base], [data.text for data in base]
        parts = None
        if self.split_column is not None:
            parts = said_parts(self.dataset, self.split_column, base, rows)
        classes = strata(items) if self.target_type == "classification" else None
        if self.balanced:
            check_balanced(items)
        split = self.splitter(items, texts, rows, parts=parts, classes=classes)
        found = describe(items, self.tokenizer, self._settings["encodings"])
        if self.target_type == "masked":
            found |= hidden_inputs(found)
        found["framed"] = getattr(self.dataset, "framed", True)
        found["template"] = getattr(self.dataset, "template", None)
        if self._known is None:
            # Members by folds have one scale: that of all that any of them is trained on.
            learned = ["train"] if self.splitter.inner_fold is None else ["train", "val"]
            train = [graphs[i] for i in sorted(i for part in learned for i in split.members(part))]
            regression = self.target_type == "regression"
            found |= training_statistics(train, items.target_names, regression)
            found |= weight_statistics(train, items, self.balanced)
            found |= feature_statistics(train, found["feature_names"])
            constant = constant_note(found["feature_names"], found["feature_scale"])
            found["units"], said = units_of(self.units, items.target_names)
            items = replace(items, notes=[*items.notes, *lonely_classes(items), *constant, *said])
        else:
            check_fit(found, self._known)
        self._inputs = found if self._known is None else dict(self._known)
        self.split, self.texts, self.graphs, self.items = split, texts, graphs, items

    def for_model(
        self,
        inputs: dict[str, Any],
        path: str | PathLike | None = None,
        *,
        whole: bool = False,
        split_file: str | PathLike | None = None,
        features_path: str | PathLike | None = None,
        **columns: Any,
    ) -> DataModule:
        """Another datamodule with data as a trained model knows it; this one stays as it is.

        Args:
            inputs: what the model knows of its data, see :meth:`inputs`.
            path: another file to read in the dataset's way, all of it in the test part, where
                targets may be absent: they are NaN then. None reads the same data.
            whole: put everything into the test part.
            split_file: which row of the same data is in which part, see
                :func:`gia.data.file_split`; None splits it as it is set up.
            features_path: features of the other file's rows, where the model reads a file of them.
            **columns: of the file where they have other names, such as ``smiles_column``.

        Raises:
            ValueError: if the dataset reads no file, or the model's file of features has no other;
                and at :meth:`setup`, if the data has what the model does not know.
        """
        if path is None and columns:
            raise ValueError(f"{', '.join(columns)} name columns of a file: give data.path=... too")
        if split_file is not None and (whole or path is not None):
            raise ValueError(
                f"data.split_file={split_file} is for the parts of the model's own data: leave it "
                "out where all of the data is read"
            )
        dataset = self.dataset
        if path is not None:
            if not hasattr(dataset, "with_file"):
                raise ValueError(
                    f"{type(dataset).__name__} reads no file that data.path={path} could stand "
                    "for: give the dataset's own settings"
                )
            if isinstance(dataset, Dataset):  # which may ask for targets by what is learned
                dataset = dataset.but(target_type=self.target_type)
            dataset = dataset.with_file(path, **columns)
        reads = isinstance(dataset, Dataset) and getattr(dataset, "tokenizer", None) is not None
        if reads and inputs.get("tokenizer"):
            dataset = dataset.but(tokenizer=read_tokenizer(inputs["tokenizer"]))
        apart, other_parts = {}, {"split_column": None, "inner_fold": None}
        if whole or path is not None:
            apart = {"split": "none", "split_file": None, **other_parts}
        elif split_file is not None:
            apart = {"split": "file", "split_file": split_file, "fold": 0, **other_parts}
        if path is not None and "file" in self.features.kinds and features_path is None:
            raise ValueError(
                f"the model reads a file of features beside its table (data.features=file): give "
                f"data.features_path=... with a row for each row of data.path={path}"
            )
        if features_path is not None:
            apart["features_path"] = features_path
        other = DataModule(dataset, **self._settings | apart)
        other._known, other._labelled = inputs, path is None
        return other

    def parts(self, rows: int) -> Iterator[DataModule]:
        """The same data in parts of at most so many rows of its table, each read by itself, for a
        trained model; in one part where it is no larger, or cannot be read so.

        Args:
            rows: of each part but the last.
        """
        # Numbers of a table are read by what all cells of a column look like.
        if not isinstance(self.dataset, Dataset) or {"columns", "file"} & {*self.features.kinds}:
            yield self
            return
        for dataset in self.dataset.parts(rows):
            if dataset is self.dataset:  # the whole
                yield self
                return
            other = DataModule(dataset, **self._settings)
            other._known, other._labelled = self._known, self._labelled
            yield other

    def inputs(self) -> dict[str, Any]:
        """What a model must know of the data, as plain values.

        Besides what :func:`gia.data.inputs.features` says: ``tokenizer``, its configuration,
        ``framed``, whether sequences begin and end, and ``template``, how a prompt is written;
        ``target_names`` and ``class_names`` (of every target, or a list for each where they
        differ); ``out_channels``, T for regression
        and the number of classes of all targets for classification;
        ``target_mean``, ``target_std``, ``target_range``, ``feature_center``, ``feature_scale``,
        ``degree_histogram``, ``mean_weight`` and ``class_counts`` (of each target, as often as an
        epoch has them) of the training part alone; ``units``, of the targets.
        """
        self.setup()
        return dict(self._inputs)

    def summary(self) -> dict[str, Any]:
        """What was read, what was lost on the way and how it was split: see the keys."""
        self.setup()
        return report.summary(self)

    def fingerprint(self) -> str:
        """A digest of the split, to tell whether a checkpoint was trained on this one."""
        self.setup()
        graphs = self.graphs.graphs if isinstance(self.graphs, View) else self.graphs
        # Names such as item_0 fit any data; gia's own say what they name.
        named = self.items.kind == "name" and not hasattr(self.dataset, "digest")
        return report.fingerprint(self.texts, self.split, graphs if named else ())

    def write_splits(self, path: str | PathLike) -> None:
        """Write the split as a table: one line per item with its part and group."""
        self.setup()
        report.write_splits(self.graphs, self.texts, self.split, path)

    @property
    def train_data(self) -> Sequence[Data]:
        """The items to train on."""
        return self.part("train")

    @property
    def val_data(self) -> Sequence[Data]:
        """The items to validate on."""
        return self.part("val")

    @property
    def test_data(self) -> Sequence[Data]:
        """The items to test on."""
        return self.part("test")

    def part(self, name: str) -> Sequence[Data]:
        """The items of one part, ``"train"``, ``"val"`` or ``"test"``."""
        self.setup()
        return _some(self.graphs, self.split.members(name))

    def train_dataloader(self) -> SequenceLoader:
        """Training batches, drawn anew each epoch; the same ones where Lightning is to overfit."""
        # Lightning itself turns shuffling off only in samplers of its own kind.
        overfits = self.trainer is not None and self.trainer.overfit_batches > 0
        train, chances = self.train_data, None
        self._check_shares()
        if self.balanced and not overfits:
            chances = balancing_weights(train, class_counts(train, self.items))
        self._train_loader = self._loader(train, shuffle=not overfits, chances=chances)
        if self._position:
            self._train_loader.load_state_dict(self._position)
        return self._train_loader

    def val_dataloader(self) -> list[SequenceLoader]:
        """Validation batches, and as many training items, so that the gap is measured alike."""
        train, val = self.train_data, self.val_data
        seed = torch.Generator().manual_seed(self.splitter.split_seed)
        draw = torch.randperm(len(train), generator=seed)[: len(val)]
        return [self._loader(val), self._loader(_some(train, draw.tolist()))]

    def test_dataloader(self) -> SequenceLoader:
        """Test batches."""
        return self._loader(self.test_data)

    def loader(self, part: str) -> SequenceLoader:
        """All batches of one part, ``"train"``, ``"val"`` or ``"test"``, in a fixed order; every
        process has them all."""
        return self.batcher.loader(self.part(part))

    def state_dict(self) -> dict[str, int]:
        """Where training stands in its epoch, kept in checkpoints.

        Lightning keeps a loader's position itself, but loses it where a schedule asks for the
        number of steps, which makes the loader before the checkpoint is read.
        """
        return self._train_loader.state_dict() if self._train_loader is not None else {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the training batches continue from a saved position, in its epoch alone."""
        self._position = state_dict

    def _read(self) -> Items:
        items = self._of_source()
        if self.target_type == "masked":  # each node has a target of its own, and no other
            return replace(items, level="node", cells=[], target_names=[])
        return items

    def _of_source(self) -> Items:
        known = self._known or {}
        classes = known.get("class_names") if self.target_type == "classification" else None
        common = {
            "target_type": self.target_type,
            "class_names": classes,
            "labelled": self._labelled and self.target_type != "masked",
        }
        if not isinstance(self.dataset, Dataset):
            return collect(
                self.dataset,
                target=self._settings["target"],
                level=self._settings["level"] or known.get("level"),
                pre_transform=self.pre_transform,
                transform=self.transform,
                **common,
            )
        once, always = in_order(self.dataset.transform, self.pre_transform, self.transform)
        steps = Steps([self.dataset.steps, once])
        wanted = None if self._labelled else list(known["target_names"])
        self._configured = self.dataset.but(**common, steps=steps, wanted=wanted)
        items = self._configured.items
        return replace(items, graphs=View(items.graphs, Prepare(always))) if always else items

    def _check_shares(self) -> None:
        """See, before a training, that each process has an item of each part."""
        number = 1 if self.trainer is None else self.trainer.world_size
        for part in ("train", "val", "test"):
            found = len(self.split.members(part))
            if found < number:
                raise ValueError(
                    f"the {part} part has {found} items for {number} processes: give fewer "
                    "trainer.devices, or more data"
                )

    def _loader(self, graphs: Sequence[Data], **options: Any) -> SequenceLoader:
        ranks = {}
        if self.trainer is not None:
            ranks = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        return self.batcher.loader(graphs, **options, **ranks)


def _some(graphs: Sequence[Data], rows: Sequence[int]) -> Sequence[Data]:
    return graphs.part(rows) if isinstance(graphs, View) else [graphs[row] for row in rows]
