"""Forests on fingerprints and features."""

from dataclasses import dataclass, field, fields
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gia.nn.models.fingerprint import FingerprintModel, Known


class FingerprintForest(FingerprintModel):
    """scikit-learn's random forest on Morgan fingerprints and features, one for each target.

    `"Random Forests" <https://doi.org/10.1023/A:1010933404324>`_.

    Args:
        num_trees (int): Trees of a forest.
        max_features (float or str, optional): Entries of a fingerprint that a split looks at, as
            scikit-learn takes it: a share, ``sqrt``, or None for all.
        min_samples_leaf (int): The fewest molecules of a leaf.
        seed (int): Of the forests.
        **kwargs: Of :class:`FingerprintModel`.
    """

    NAME = "random forest"

    def __init__(
        self,
        *,
        num_trees: int = 500,
        max_features: float | str | None = 0.33,
        min_samples_leaf: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.options = {
            "n_estimators": num_trees,
            "max_features": max_features,
            "min_samples_leaf": min_samples_leaf,
            "random_state": seed,
        }

    def learn(self, train: Known, validation: Known) -> Any:
        # As many threads as torch may use; the trees are the same ones with any number.
        forest = self.kind()(**self.options, n_jobs=torch.get_num_threads())
        return forest.fit(train.x, train.y, train.weight)

    def learn_weighted(self, train: Known, validation: Known, weights: np.ndarray) -> Any:
        # Leaves of one class alone would not see how much it counts: what they say together does.
        forest = GrownForest.of(self.learn(train, validation))
        forest.weight = weights[forest.classes_]
        return forest

    def kind(self) -> type:
        """scikit-learn's class of the forests."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestClassifier if self.num_classes else RandomForestRegressor


class FingerprintExtraTrees(FingerprintForest):
    """scikit-learn's extremely randomised trees, one forest for each target.

    `"Extremely randomized trees" <https://doi.org/10.1007/s10994-006-6226-1>`_: a split is the best
    of cuts drawn at random, one for each entry, and every tree learns all molecules, so that the
    mean of the trees is smoother than that of a random forest. A checkpoint holds them.

    Args:
        **kwargs: Of :class:`FingerprintForest`.
    """

    NAME = "forest of extra trees"

    def kind(self) -> type:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesClassifier if self.num_classes else ExtraTreesRegressor

    def get_extra_state(self) -> Tensor:
        """The fitted forests as the bytes of an ``.npz``; none before they are."""
        file, forests = BytesIO(), map(GrownForest.of, self.estimators)
        arrays = {
            f"{k}.{name}": part for k, one in enumerate(forests) for name, part in vars(one).items()
        }
        np.savez_compressed(file, number=len(self.estimators), **arrays)
        return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        parts = [field.name for field in fields(GrownForest)]
        with np.load(BytesIO(state.cpu().numpy().tobytes()), allow_pickle=False) as known:
            self.estimators = [
                # A file of before says nothing of weights.
                GrownForest(
                    **{part: known[key] for part in parts if (key := f"{k}.{part}") in known}
                )
                for k in range(int(known["number"]))
            ]


@dataclass
class GrownForest:
    """A fitted forest as arrays of all nodes of its trees, which need no scikit-learn's version.

    Args:
        root (array): Where each of the trees begins, ``[T]``.
        left, right (array): The next node where a feature is at most the threshold and where it is
            not, ``[K]``; of a leaf itself.
        feature (array): The feature that a node looks at, ``[K]``.
        threshold (array): ``[K]``, float64.
        value (array): What a node says, ``[K, C]``: shares of C classes, or a number.
        classes_ (array): The classes; empty for numbers.
        weight (array): How much each class counts, ``[C]``; empty where all do alike.
    """

    root: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    classes_: np.ndarray
    weight: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(cls, estimator: Any) -> "GrownForest":
        """Of a forest that scikit-learn has fitted."""
        if isinstance(estimator, cls):
            return estimator
        trees = [one.tree_ for one in estimator.estimators_]
        first = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        size = sum(tree.node_count for tree in trees)
        leaf = np.concatenate([tree.feature for tree in trees]) < 0
        shift = np.repeat(first, [tree.node_count for tree in trees])

        def after(side: str) -> np.ndarray:
            nodes = np.concatenate([getattr(tree, f"children_{side}") for tree in trees]) + shift
            return np.where(leaf, np.arange(size), nodes).astype(np.int32)

        return cls(
            root=first.astype(np.int32),
            left=after("left"),
            right=after("right"),
            feature=np.concatenate([tree.feature for tree in trees]).clip(0).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=np.concatenate([tree.value[:, 0] for tree in trees]).astype(np.float32),
            classes_=getattr(estimator, "classes_", np.empty(0)).astype(np.int64),
        )

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Numbers, ``[B]``."""
        return self._mean(x)[:, 0]

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        r"""Shares of the classes, ``[B, C]``: of :math:`p_c` in the mean over the trees
        :math:`w_c p_c / \sum_d w_d p_d`, as a loss whose classes count :math:`w_c` learns it."""
        shares = self._mean(x)
        if len(self.weight):
            shares = shares * self.weight
            shares = shares / shares.sum(1, keepdims=True)
        return shares

    def _mean(self, x: np.ndarray) -> np.ndarray:
        """The mean of what the trees say, ``[B, C]``."""
        x = x.astype(np.float32)  # as scikit-learn compares it with the thresholds
        node = np.tile(self.root, (len(x), 1))  # [B, T]
        rows = np.arange(len(x))[:, None]
        while True:
            low = x[rows, self.feature[node]] <= self.threshold[node]
            after = np.where(low, self.left[node], self.right[node])
            if (after == node).all():  # all have come to a leaf
                return self.value[node].mean(1, dtype=np.float64)
            node = after
