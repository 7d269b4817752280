"""Language modelling: predict the symbol that follows each node."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch

from gia.tasks.language_metrics import LanguageMetrics
from gia.tasks.supervised import Supervised


class LanguageModeling(Supervised):
    """Next-symbol prediction with a :class:`~gia.nn.LanguageModel`.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        vocab_size (int): Symbols V.
    """

    LOSS_NAME = "loss (nats per symbol)"

    def __init__(self, model: nn.Module, *, vocab_size: int, **kwargs: Any):
        super().__init__(model, metrics=lambda split: LanguageMetrics(vocab_size), **kwargs)
        self.vocab_size = vocab_size

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return cross_entropy(self.model(batch).float(), batch.y), batch.num_nodes

    def measure(self, metrics: LanguageMetrics, batch: Batch) -> None:
        metrics.update(self.model(batch), batch)
