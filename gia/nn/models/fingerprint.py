"""Learners on fingerprints and features: the baselines that learn no representation."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.data.components import of_components
from gia.data.fingerprints import kmer_counts, morgan_fingerprints
from gia.data.targets import ClassNames, class_sizes
from gia.nn.graph_features import GraphFeatures
from gia.typing import OptTensor

LEAST = 1e-6  # probability of a class that is never voted for: its logarithm must be finite


class Known(NamedTuple):
    """Graphs of which one target is known.

    Attributes:
        x (array): What is known of each graph, ``[B, size + F]``.
        y (array): Its target, normalised, or the number of its class, ``[B]``; all T of a
            table, ``[B, T]``.
        weight (array, optional): How much it counts, ``[B]``.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None

    def only(self, rows: np.ndarray) -> "Known":
        """Some of them."""
        return Known(*(None if part is None else part[rows] for part in self))


class FingerprintModel(nn.Module):
    r"""An estimator as scikit-learn has them for each target, on fingerprints and features.

    It answers as every model here does, so that the same tasks measure it; it is fitted by
    :meth:`fit` instead of by steps and has no parameters. A new one says in :meth:`learn` which
    estimator it is; it is in no checkpoint unless it has an extra state, ``get_extra_state``.

    Args:
        out_channels (int): What it gives for a molecule: T numbers, or the classes of T targets.
        target_mean (list of float): :math:`\mu` of each target, ``[T]``; empty for classes, and for
            numbers that are learned as they are.
        target_std (list of float): :math:`\sigma` of each target, ``[T]``; as the mean.
        class_names (list): The classes of every target, or a list for each; empty for numbers.
        radius (int): Of the fingerprints, in bonds.
        size (int): Their length; 0 leaves them out, for graphs that are no molecules.
        counts (bool): Whether they count.
        kmer (int, optional): Of sequences, whose fingerprints are
            :func:`~gia.data.fingerprints.kmer_counts`: letters of the longest k-mers; left out, the
            graphs are molecules.
        features (GraphFeatures, optional): Reads ``data.graph_features``, which then stand behind
            the fingerprints.

    Shapes:
        - **data.text:** SMILES of the B molecules, or sequences
        - **data.graph_features:** ``[B, F]``
        - **output:** ``[B, out_channels]``: numbers normalised, or logarithms of probabilities,
          those of a target together

    Raises:
        ValueError: If there is nothing to read, or a loss takes several numbers of a target.
    """

    NAME = "model"

    def __init__(
        self,
        *,
        out_channels: int,
        target_mean: Sequence[float] = (),
        target_std: Sequence[float] = (),
        class_names: ClassNames = (),
        radius: int = 2,
        size: int = 2048,
        counts: bool = True,
        kmer: int | None = None,
        features: GraphFeatures | None = None,
    ):
        super().__init__()
        self.features = features if features is not None and features.channels else None
        if not size and self.features is None:
            raise ValueError(
                f"model.size=0 leaves a {self.NAME} nothing to read: give data.features=..., or a "
                "size"
            )
        self.num_classes = class_sizes(class_names, out_channels)
        self.num_targets = len(self.num_classes) or out_channels
        if target_mean is not None and len(target_mean) not in (0, self.num_targets):
            raise ValueError(
                f"a {self.NAME} gives one number for each target: use loss=mse, mae or huber"
            )
        scaled = target_mean is not None and len(target_mean) > 0
        self.target_mean = np.array(target_mean) if scaled else np.zeros(1)
        self.target_std = np.array(target_std) if scaled else np.ones(1)
        self.size, self.counts = size, counts
        self.radius, self.kmer = radius, kmer
        self.estimators: list[Any] = []

    def fit(
        self,
        graphs: Sequence[Data],
        validation: Sequence[Data] = (),
        *,
        class_weights: OptTensor = None,
    ) -> "FingerprintModel":
        """Fit the estimators, each to the molecules whose target is known.

        Args:
            graphs (list of Data): Molecules with ``text``, ``y [1, T]``, NaN where missing, and
                maybe ``weight [1]``.
            validation (list of Data): The same, for one that chooses when to stop.
            class_weights (Tensor, optional): How much the classes of each target count, ``[T, C]``.

        Raises:
            ValueError: If a target is known of no molecule, targets are of nodes, or the graphs are
                no molecules.
        """
        train, held = self._table(graphs), self._table(validation)
        self.estimators = []
        for target in range(self.num_targets):
            known = [_known(table, target) for table in (train, held)]
            if not len(known[0].y):
                raise ValueError(f"target {target} is known of none of {len(graphs)} molecules")
            if class_weights is None:
                self.estimators.append(self.learn(*known))
            else:
                weights = class_weights[target].cpu().numpy()
                self.estimators.append(self.learn_weighted(*known, weights))
        return self

    def learn(self, train: Known, validation: Known) -> Any:
        """A fitted estimator of one target.

        Args:
            train (Known): The molecules to learn.
            validation (Known): Those that may say when to stop; there may be none.
        """
        raise NotImplementedError

    def learn_weighted(self, train: Known, validation: Known, weights: np.ndarray) -> Any:
        """A fitted estimator of one target whose classes count so much, ``[C]``."""
        return self.learn(*(_by_class(known, weights) for known in (train, validation)))

    def forward(self, data: Data) -> Tensor:
        if not self.estimators:
            raise RuntimeError(f"the {self.NAME} is not fitted: call fit(graphs) first")
        texts = [data.text] if isinstance(data.text, str) else data.text
        x = self._read(texts, data.get("graph_features"))
        sizes = self.num_classes or [0] * self.num_targets
        parts = zip(self.estimators, sizes, strict=True)
        output = np.concatenate([_predicted(one, x, size) for one, size in parts], axis=1)
        return torch.as_tensor(output, dtype=torch.float32, device=_device(data))

    def _table(self, graphs: Sequence[Data]) -> Known:
        """What is known of graphs, and all their targets ``[B, T]`` as they are learned."""
        graphs = list(graphs)
        if not graphs:
            return Known(np.empty((0, 0)), np.empty((0, self.num_targets)))
        own = [data.get("graph_features") for data in graphs]
        x = self._read([data.text for data in graphs], None if None in own else torch.cat(own))
        y = torch.cat([data.y for data in graphs]).double().cpu().numpy()
        if len(y) != len(graphs):
            raise ValueError(
                f"a {self.NAME} predicts whole graphs, and these targets are of their nodes: "
                "choose a network, such as model=graph_transformer, or model=bilstm for sequences"
            )
        if not self.num_classes:
            y = (y - self.target_mean) / self.target_std
        weight = None
        if graphs[0].get("weight") is not None:
            weight = torch.cat([data.weight for data in graphs]).cpu().numpy()
        return Known(x, y, weight)

    def _read(self, texts: Sequence[str], features: OptTensor) -> np.ndarray:
        """What is known of each graph, ``[B, size + F]``."""
        parts = []
        if self.size:
            parts.append(self._fingerprints(texts))
        if self.features is not None:
            parts.append(self.features(features).cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _fingerprints(self, texts: Sequence[str]) -> np.ndarray:
        """Of each graph, ``[B, size]``, or as many for each molecule of an item."""
        shared = {"size": self.size, "counts": self.counts}
        if self.kmer is not None:
            return kmer_counts(texts, kmer=self.kmer, **shared)
        read = partial(morgan_fingerprints, radius=self.radius, **shared)
        return of_components(lambda smiles: ([], read(smiles)), texts)[1]


def _device(data: Data) -> torch.device | None:
    tensors = (value for _, value in data if isinstance(value, Tensor))
    return next((value.device for value in tensors), None)


def _known(table: Known, target: int) -> Known:
    """The rows of which a target is known, with it alone."""
    one = table._replace(y=table.y[:, target])
    return one.only(~np.isnan(one.y))


def _by_class(known: Known, weights: np.ndarray) -> Known:
    """The same, each as much as its class counts."""
    weight = weights[known.y.astype(int)]
    return known._replace(weight=weight if known.weight is None else known.weight * weight)


def _predicted(estimator: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Numbers, or logarithms of the probabilities of classes if there are any."""
    if not classes:
        return estimator.predict(x)[:, None]
    probabilities = np.zeros((len(x), classes))
    # A class may be absent from the training molecules.
    probabilities[:, estimator.classes_.astype(int)] = estimator.predict_proba(x)
    return np.log(probabilities.clip(LEAST))
