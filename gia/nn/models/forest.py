"""A random forest on fingerprints and features."""

from typing import Any

import torch

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
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if self.num_classes else RandomForestRegressor
        # As many threads as torch may use; the trees are the same ones with any number.
        forest = kind(**self.options, n_jobs=torch.get_num_threads())
        return forest.fit(train.x, train.y, train.weight)
