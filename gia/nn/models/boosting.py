"""Gradient boosting on fingerprints and features."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gia.data.optional import require
from gia.nn.models.fingerprint import FingerprintModel, Known


class FingerprintBoosting(FingerprintModel):
    """LightGBM's boosted trees on Morgan fingerprints and features, one booster for each target.

    `"LightGBM: A Highly Efficient Gradient Boosting Decision Tree"
    <https://papers.nips.cc/paper/6907>`_. Trees are added until ``patience`` more of them make the
    validation part no better. A checkpoint holds them, in LightGBM's own text.

    Args:
        num_trees (int): The most trees of a booster.
        learning_rate (float): How much of each tree counts.
        num_leaves (int): The most leaves of a tree.
        min_samples_leaf (int): The fewest molecules of a leaf.
        max_features (float): The share of a fingerprint's entries that a tree looks at.
        patience (int): Trees without a gain on validation after which it ends.
        seed (int): Of the boosters.
        loss (nn.Module, optional): What they are to make small, if its ``objective`` names it as
            LightGBM does, such as ``{"objective": "regression_l1"}``; else the squared error, or
            the logarithm of the probability.
        **kwargs: Of :class:`FingerprintModel`.

    Raises:
        ImportError: If LightGBM is not installed.
    """

    NAME = "booster"

    def __init__(
        self,
        *,
        num_trees: int = 2000,
        learning_rate: float = 0.05,
        num_leaves: int = 31,
        min_samples_leaf: int = 5,
        max_features: float = 0.33,
        patience: int = 100,
        seed: int = 0,
        loss: nn.Module | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        require_lightgbm()
        self.patience = patience
        self.options = {
            "n_estimators": num_trees,
            "learning_rate": learning_rate,
            "num_leaves": num_leaves,
            "min_child_samples": min_samples_leaf,
            "colsample_bytree": max_features,
            "random_state": seed,
            "deterministic": True,
            "force_row_wise": True,  # otherwise the faster layout is measured, and may differ
            "verbosity": -1,
            **getattr(loss, "objective", {}),
        }

    def learn(self, train: Known, validation: Known) -> Any:
        from sklearn.dummy import DummyClassifier

        lightgbm = require_lightgbm()
        kind = lightgbm.LGBMClassifier if self.num_classes else lightgbm.LGBMRegressor
        booster = kind(**self.options, n_jobs=torch.get_num_threads())
        if self.num_classes:
            if len(np.unique(train.y)) == 1:  # LightGBM would make two classes of one
                return DummyClassifier().fit(train.x, train.y)
            # It knows nothing of a class that training lacks.
            validation = validation.only(np.isin(validation.y, train.y))
        if not len(validation.y):
            return booster.fit(train.x, train.y, train.weight)
        return booster.fit(
            *train,
            eval_X=validation.x,
            eval_y=validation.y,
            eval_sample_weight=None if validation.weight is None else [validation.weight],
            callbacks=[lightgbm.early_stopping(self.patience, verbose=False)],
        )

    def get_extra_state(self) -> Tensor:
        """The fitted boosters as bytes; none before they are."""
        known = [Trees.of(estimator).state() for estimator in self.estimators]
        return torch.frombuffer(bytearray(json.dumps(known).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        known = json.loads(bytes(state.cpu().numpy()))
        self.estimators = [Trees(**trees) for trees in known]


class Trees:
    """A fitted booster out of its text; without one, the only class that training had.

    Args:
        text (str): As LightGBM writes it; empty where there is a single class.
        classes (list of int): Of a classification, in the order of the probabilities.
    """

    def __init__(self, text: str, classes: list[int]):
        self.text, self.classes_ = text, np.array(classes, dtype=int)
        self.booster = require_lightgbm().Booster(model_str=text) if text else None

    @classmethod
    def of(cls, estimator: Any) -> "Trees":
        """Of what :meth:`FingerprintBoosting.learn` has fitted."""
        if isinstance(estimator, cls):
            return estimator
        text = estimator.booster_.model_to_string() if hasattr(estimator, "booster_") else ""
        classes = getattr(estimator, "classes_", np.empty(0))
        return cls(text, classes.astype(int).tolist())

    def state(self) -> dict[str, Any]:
        """What makes the same one."""
        return {"text": self.text, "classes": self.classes_.tolist()}

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Numbers, or the probabilities that the booster says; ``[B]``, or ``[B, C]``."""
        return self.booster.predict(x, num_threads=torch.get_num_threads())

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """The probabilities of the classes, ``[B, C]``."""
        if self.booster is None:
            return np.ones((len(x), 1))
        said = self.predict(x)
        return said if said.ndim == 2 else np.stack([1 - said, said], axis=1)


def require_lightgbm() -> Any:
    """``lightgbm``.

    Raises:
        ImportError: If it is not installed.
    """
    otherwise = ", or choose model=random_forest, which needs nothing more"
    return require("lightgbm", "gradient boosting takes LightGBM", "boosting", otherwise)
