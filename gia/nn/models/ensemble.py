"""Several answers to one question: of models of one kind, or of one model with dropout."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from gia.nn.dropout import Dropout


class Several(nn.Module):
    """What gives M answers, ``[M, ...]``, each as a single model gives it.

    What they say together is up to the task: numbers are averaged, and so are probabilities.

    Attributes:
        number (int): M.
    """

    number: int


class Ensemble(Several):
    """Models that were trained apart: with different seeds, or of different kinds.

    Args:
        models (list of nn.Module): The members, all for the same targets.
        counts (list of int, optional): How often each of them counts; left out, once.

    Shapes:
        - **output:** ``[M, ...]``, each member's own, as often as it counts

    Raises:
        ValueError: If there are no members, or these are no counts of them.
    """

    def __init__(self, models: Sequence[nn.Module], counts: Sequence[int] | None = None):
        super().__init__()
        if not models:
            raise ValueError("an ensemble needs at least one member")
        self.members = nn.ModuleList(models)
        self.counts = [1] * len(models) if counts is None else list(counts)
        if len(self.counts) != len(models) or min(self.counts) < 0 or not any(self.counts):
            raise ValueError(
                f"an ensemble of {len(models)} needs as many counts from 0, and one above it, got "
                f"{self.counts}"
            )

    @property
    def number(self) -> int:
        return sum(self.counts)

    def forward(self, data: Data) -> Tensor:
        answers = []
        for member, count in zip(self.members, self.counts, strict=True):
            answers += [member(data)] * count if count else []
        return torch.stack(answers)


class DropoutSamples(Several):
    """A model asked several times with its dropout on, as `"Dropout as a Bayesian Approximation"
    <https://arxiv.org/abs/1506.02142>`_ has it; all else stays in the mode that it is in.

    Args:
        model (nn.Module): The model.
        samples (int): How often, M.

    Shapes:
        - **output:** ``[M, ...]``

    Raises:
        ValueError: If these are fewer than 2, or the model is an ensemble or has no dropout.
    """

    def __init__(self, model: nn.Module, samples: int):
        super().__init__()
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
            raise ValueError(
                f"dropout_samples must be a whole number of at least 2, got {samples!r}"
            )
        if isinstance(model, Ensemble):
            raise ValueError("dropout_samples is of a single model, and this is an ensemble")
        kinds = (Dropout, nn.modules.dropout._DropoutNd)
        self.layers = [part for part in model.modules() if isinstance(part, kinds) and part.p > 0]
        if not self.layers:
            raise ValueError(
                "dropout_samples needs a model with dropout, and this has none: train it with "
                "model.dropout=0.1, or use ensemble=5"
            )
        self.model, self.number = model, samples

    def forward(self, data: Data) -> Tensor:
        modes = [layer.training for layer in self.layers]
        try:
            for layer in self.layers:
                layer.train()
            return torch.stack([self.model(data) for _ in range(self.number)])
        finally:
            for layer, mode in zip(self.layers, modes, strict=True):
                layer.train(mode)
