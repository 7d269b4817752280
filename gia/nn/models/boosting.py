"""Gradient boosting on fingerprints and features."""

from typing import Any

import numpy as np
import torch

from gia.nn.models.fingerprint import FingerprintModel, Known


class FingerprintBoosting(FingerprintModel):
    """LightGBM's boosted trees on Morgan fingerprints and features, one booster for each target.

    `"LightGBM: A Highly Efficient Gradient Boosting Decision Tree"
    <https://papers.nips.cc/paper/6907>`_. Trees are added until ``patience`` more of them make the
    validation part no better.

    Args:
        num_trees (int): The most trees of a booster.
        learning_rate (float): How much of each tree counts.
        num_leaves (int): The most leaves of a tree.
        min_samples_leaf (int): The fewest molecules of a leaf.
        max_features (float): The share of a fingerprint's entries that a tree looks at.
        patience (int): Trees without a gain on validation after which it ends.
        seed (int): Of the boosters.
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


def require_lightgbm() -> Any:
    """``lightgbm``.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ImportError(
            "gradient boosting takes LightGBM, which is not installed: pip install gia[boosting], "
            "or choose model=random_forest, which needs nothing more"
        ) from error
    return lightgbm
