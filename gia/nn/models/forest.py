"""A random forest on fingerprints and features: the baseline that learns no representation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.data.components import of_components
from gia.data.fingerprints import morgan_fingerprints
from gia.data.targets import ClassNames, classes_of_each, is_shared
from gia.nn.graph_features import GraphFeatures
from gia.typing import OptTensor

LEAST = 1e-6  # probability of a class that no tree votes for: its logarithm must be finite


class FingerprintForest(nn.Module):
    r"""scikit-learn's random forest on Morgan fingerprints and features, one for each target.

    It answers as every model here does, so that the same tasks measure it; it is fitted by
    :meth:`fit` instead of by steps, has no parameters, and is in no checkpoint.

    Args:
        out_channels (int): What it gives for a molecule: T numbers, or the classes of T targets.
        target_mean (list of float): :math:`\mu` of each target, ``[T]``; empty for classes.
        target_std (list of float): :math:`\sigma` of each target, ``[T]``; empty for classes.
        class_names (list): The classes of every target, or a list for each; empty for numbers.
        num_trees (int): Trees of a forest.
        max_features (float or str, optional): Entries of a fingerprint that a split looks at, as
            scikit-learn takes it: a share, ``sqrt``, or None for all.
        min_samples_leaf (int): The fewest molecules of a leaf.
        radius (int): Of the fingerprints, in bonds.
        size (int): Their length; 0 leaves them out, for graphs that are no molecules.
        counts (bool): Whether they count.
        seed (int): Of the forests.
        features (GraphFeatures, optional): Reads ``data.graph_features``, which then stand behind
            the fingerprints.

    Shapes:
        - **data.text:** SMILES of the B molecules
        - **data.graph_features:** ``[B, F]``
        - **output:** ``[B, out_channels]``: numbers normalised, or logarithms of probabilities,
          those of a target together

    Raises:
        ValueError: If there is nothing to read.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        target_mean: Sequence[float] = (),
        target_std: Sequence[float] = (),
        class_names: ClassNames = (),
        num_trees: int = 500,
        max_features: float | str | None = 0.33,
        min_samples_leaf: int = 1,
        radius: int = 2,
        size: int = 2048,
        counts: bool = True,
        seed: int = 0,
        features: GraphFeatures | None = None,
    ):
        super().__init__()
        self.features = features if features is not None and features.channels else None
        if not size and self.features is None:
            raise ValueError(
                "model.size=0 leaves a forest nothing to read: give data.features=..., or a size"
            )
        shared = class_names and is_shared(class_names)
        targets = out_channels // len(class_names) if shared else len(class_names)
        self.num_classes = [len(names) for names in classes_of_each(class_names, targets)]
        self.num_targets = len(self.num_classes) or out_channels
        if target_mean is not None and len(target_mean) not in (0, self.num_targets):
            raise ValueError(
                "a random forest gives one number for each target: use loss=mse, mae or huber"
            )
        self.target_mean, self.target_std = np.array(target_mean), np.array(target_std)
        self.fingerprints = {"radius": radius, "size": size, "counts": counts}
        self.options = {
            "n_estimators": num_trees,
            "max_features": max_features,
            "min_samples_leaf": min_samples_leaf,
            "random_state": seed,
        }
        self.forests: list[Any] = []

    def fit(self, graphs: Sequence[Data]) -> "FingerprintForest":
        """Grow the forests, each on the molecules whose target is known.

        Args:
            graphs (list of Data): Molecules with ``text``, ``y [1, T]``, NaN where missing, and
                maybe ``weight [1]``.

        Raises:
            ValueError: If a target is known of no molecule, or the graphs are no molecules.
        """
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if self.num_classes else RandomForestRegressor
        own = [data.get("graph_features") for data in graphs]
        x = self._read([data.text for data in graphs], None if None in own else torch.cat(own))
        weight = None
        if graphs[0].get("weight") is not None:
            weight = torch.cat([data.weight for data in graphs]).cpu().numpy()
        y = torch.cat([data.y for data in graphs]).double().cpu().numpy()
        if not self.num_classes:
            y = (y - self.target_mean) / self.target_std
        self.forests = []
        for target in range(self.num_targets):
            known = ~np.isnan(y[:, target])
            if not known.any():
                raise ValueError(f"target {target} is known of none of {len(graphs)} molecules")
            # As many threads as torch may use; the trees are the same ones with any number.
            forest = kind(**self.options, n_jobs=torch.get_num_threads())
            sample_weight = None if weight is None else weight[known]
            self.forests.append(forest.fit(x[known], y[known, target], sample_weight))
        return self

    def forward(self, data: Data) -> Tensor:
        if not self.forests:
            raise RuntimeError("the forest is not fitted: call fit(graphs) first")
        texts = [data.text] if isinstance(data.text, str) else data.text
        x = self._read(texts, data.get("graph_features"))
        sizes = self.num_classes or [0] * self.num_targets
        output = [_said(forest, x, size) for forest, size in zip(self.forests, sizes, strict=True)]
        output = np.concatenate(output, axis=1)
        return torch.as_tensor(output, dtype=torch.float32, device=data.edge_index.device)

    def _read(self, texts: Sequence[str], features: OptTensor) -> np.ndarray:
        """What is known of each graph, ``[B, size + F]``."""
        parts = []
        if self.fingerprints["size"]:
            parts.append(of_components(self._fingerprints, texts)[1])
        if self.features is not None:
            parts.append(self.features(features).cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _fingerprints(self, smiles: Sequence[str]) -> tuple[list[str], np.ndarray]:
        return [], morgan_fingerprints(smiles, **self.fingerprints)


def _said(forest: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Numbers, or logarithms of the probabilities of classes if there are any."""
    if not classes:
        return forest.predict(x)[:, None]
    probabilities = np.zeros((len(x), classes))
    # A class may be absent from the training molecules.
    probabilities[:, forest.classes_.astype(int)] = forest.predict_proba(x)
    return np.log(probabilities.clip(LEAST))
