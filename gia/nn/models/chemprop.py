"""chemprop, as far as it is a model here: what its own command has predicted."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.data.targets import ClassNames, class_sizes

LEAST = 1e-6  # probability of a class: its logarithm must be finite


class Chemprop(nn.Module):
    r"""chemprop's message passing network, trained and asked by its own command.

    `"Analyzing Learned Molecular Representations for Property Prediction"
    <https://doi.org/10.1021/acs.jcim.9b00237>`_. It answers as every model here does, so that the
    same tasks measure it; :class:`gia.training.ChempropRun` fits it and hands it the predictions.
    It has no parameters here and is in no checkpoint.

    Args:
        out_channels (int): What it gives for a molecule: T numbers, or two classes of T targets.
        target_mean (list of float): :math:`\mu` of each target, ``[T]``; empty for classes.
        target_std (list of float): :math:`\sigma` of each target, ``[T]``; empty for classes.
        class_names (list): The classes of every target, or a list for each; empty for numbers.
        command (str): The program, by its name on ``PATH`` or by its place.
        featurizers (str or list of str, optional): Descriptors that it computes beside the graph,
            its ``--molecule-featurizers``.
        arguments (list of str): Further ones of ``chemprop train``, such as ``--epochs``, ``80``.
        seed (int): Of its weights and batches.

    Shapes:
        - **data.row:** the rows of the B molecules, ``[B]``
        - **output:** ``[B, out_channels]``: numbers normalised, or logarithms of probabilities,
          those of a target together

    Raises:
        ImportError: If there is no such program.
        ValueError: If a target has more than two classes, or a loss takes several numbers of it.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        target_mean: Sequence[float] = (),
        target_std: Sequence[float] = (),
        class_names: ClassNames = (),
        command: str = "chemprop",
        featurizers: str | Sequence[str] | None = None,
        arguments: Sequence[Any] = (),
        seed: int = 0,
    ):
        super().__init__()
        self.command = require_program(command)
        self.featurizers = [featurizers] if isinstance(featurizers, str) else featurizers or []
        self.arguments = list(map(str, arguments))
        self.seed = seed
        classes = class_sizes(class_names, out_channels)
        if any(number != 2 for number in classes):
            raise ValueError(
                f"chemprop is run on targets of two classes, and here one has {max(classes)}: "
                "choose another model"
            )
        self.classifies, self.num_targets = bool(classes), len(classes) or out_channels
        if target_mean is not None and len(target_mean) not in (0, self.num_targets):
            raise ValueError(
                "chemprop gives one number for each target here: use loss=mse, mae or huber"
            )
        self.target_mean, self.target_std = target_mean, target_std
        self.versions: dict[str, str] = {}
        self._output: Tensor | None = None
        self._place: Mapping[int, int] = {}

    def take(self, rows: Sequence[int], predictions: Tensor) -> None:
        """Answer with these from now on.

        Args:
            rows (list of int): The rows of n molecules.
            predictions (Tensor): What was predicted of each, ``[n, T]``: numbers in the target's
                own units, or the probability of the second class.
        """
        if self.classifies:
            output = torch.stack([1 - predictions, predictions], dim=2).clamp(min=LEAST).log()
        else:
            mean, std = (torch.tensor(x).double() for x in (self.target_mean, self.target_std))
            output = (predictions.double() - mean) / std
        self._output = output.flatten(1).float()
        self._place = {row: place for place, row in enumerate(rows)}

    def forward(self, data: Data) -> Tensor:
        if self._output is None:
            raise RuntimeError("chemprop is not fitted: call take(rows, predictions) first")
        rows = torch.as_tensor(data.row).reshape(-1).tolist()
        return self._output[[self._place[row] for row in rows]].to(data.edge_index.device)


def require_program(command: str) -> str:
    """Where a program is.

    Raises:
        ImportError: If it is not installed.
    """
    place = shutil.which(Path(command).expanduser())
    if place is None:
        raise ImportError(
            f"chemprop is not installed: there is no program {command!r}; pip install chemprop "
            "into an environment of its own, and set GIA_CHEMPROP=ENVIRONMENT/bin/chemprop or "
            "model.command="
        )
    return os.path.abspath(place)
