"""Learners on fingerprints of molecules: the baselines that learn no representation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.data.fingerprints import morgan_fingerprints
from gia.data.targets import ClassNames, classes_of_each, is_shared

LEAST = 1e-6  # probability of a class that is never voted for: its logarithm must be finite


class FingerprintModel(nn.Module):
    r"""One of scikit-learn's estimators, or of its kind, for each target, on Morgan fingerprints.

    It answers as every model here does, so that the same tasks measure it; it is fitted by
    :meth:`fit` instead of by steps, has no parameters, and is in no checkpoint. A new one says in
    :meth:`learn` which estimator it is.

    Args:
        out_channels (int): What it gives for a molecule: T numbers, or the classes of T targets.
        target_mean (list of float): :math:`\mu` of each target, ``[T]``; empty for classes.
        target_std (list of float): :math:`\sigma` of each target, ``[T]``; empty for classes.
        class_names (list): The classes of every target, or a list for each; empty for numbers.
        radius (int): Of the fingerprints, in bonds.
        size (int): Their length.
        counts (bool): Whether they count.

    Shapes:
        - **data.text:** SMILES of the B molecules
        - **output:** ``[B, out_channels]``: numbers normalised, or logarithms of probabilities,
          those of a target together
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
    ):
        super().__init__()
        shared = class_names and is_shared(class_names)
        targets = out_channels // len(class_names) if shared else len(class_names)
        self.num_classes = [len(names) for names in classes_of_each(class_names, targets)]
        self.num_targets = len(self.num_classes) or out_channels
        self.target_mean, self.target_std = np.array(target_mean), np.array(target_std)
        self.fingerprints = {"radius": radius, "size": size, "counts": counts}
        self.estimators: list[Any] = []

    def fit(self, graphs: Sequence[Data], validation: Sequence[Data] = ()) -> "FingerprintModel":
        """Fit the estimators, each to the molecules whose target is known.

        Args:
            graphs (list of Data): Molecules with ``text`` and ``y [1, T]``; NaN where missing.
            validation (list of Data): The same, for one that chooses when to stop.

        Raises:
            ValueError: If a target is known of no molecule, or the graphs are no molecules.
        """
        x, y = self._table(graphs)
        held_x, held_y = self._table(validation)
        self.estimators = []
        for target in range(self.num_targets):
            known, held = ~np.isnan(y[:, target]), ~np.isnan(held_y[:, target])
            if not known.any():
                raise ValueError(f"target {target} is known of none of {len(graphs)} molecules")
            self.estimators.append(
                self.learn(x[known], y[known, target], held_x[held], held_y[held, target])
            )
        return self

    def learn(self, x: np.ndarray, y: np.ndarray, held_x: np.ndarray, held_y: np.ndarray) -> Any:
        """A fitted estimator of one target.

        Args:
            x, held_x (array): Fingerprints for training and of the validation part, ``[B, S]``.
            y, held_y (array): Their targets, normalised, or the numbers of their classes, ``[B]``.
        """
        raise NotImplementedError

    def forward(self, data: Data) -> Tensor:
        if not self.estimators:
            raise RuntimeError(f"the {self.NAME} is not fitted: call fit(graphs) first")
        x = self._features([data.text] if isinstance(data.text, str) else data.text)
        sizes = self.num_classes or [0] * self.num_targets
        output = [_said(one, x, size) for one, size in zip(self.estimators, sizes, strict=True)]
        output = np.concatenate(output, axis=1)
        return torch.as_tensor(output, dtype=torch.float32, device=data.x.device)

    def _table(self, graphs: Sequence[Data]) -> tuple[np.ndarray, np.ndarray]:
        """Fingerprints, and targets as they are learned."""
        x = self._features([data.text for data in graphs])
        if not len(graphs):
            return x, np.empty((0, self.num_targets))
        y = torch.cat([data.y for data in graphs]).double().cpu().numpy()
        return x, y if self.num_classes else (y - self.target_mean) / self.target_std

    def _features(self, smiles: Sequence[str]) -> np.ndarray:
        return morgan_fingerprints(smiles, **self.fingerprints)


def _said(estimator: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Numbers, or logarithms of the probabilities of classes if there are any."""
    if not classes:
        return estimator.predict(x)[:, None]
    probabilities = np.zeros((len(x), classes))
    # A class may be absent from the training molecules.
    probabilities[:, estimator.classes_.astype(int)] = estimator.predict_proba(x)
    return np.log(probabilities.clip(LEAST))
