"""Masked nodes: say what a hidden node is from those around it. It takes no targets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch
from torch_geometric.nn.pool.select.topk import topk
from torchmetrics import MeanMetric

from gia.tasks.metrics import Metrics, summed
from gia.tasks.supervised import Supervised

HIDEABLE = ("token", "features")  # the parts of an encoder that say what a node is


class MaskedMetrics(Metrics):
    """The loss, and how often the first column of a hidden node is right (an atom's element, a
    residue's letter), beside how often the commonest one would be.

    Args:
        size (int): Categories C of the first column.

    Shapes:
        - **losses:** of each hidden node, ``[M]``
        - **logits:** of its first column, ``[M, C]``
        - **target:** ``[M]``
    """

    def __init__(self, size: int):
        super().__init__()
        self.loss, self.accuracy = MeanMetric(), MeanMetric()
        self.register_buffer("counts", torch.zeros(size, dtype=torch.long), persistent=False)

    @property
    def update_called(self) -> bool:
        return self.loss.update_called

    def update(self, losses: Tensor, logits: Tensor, target: Tensor) -> None:
        self.loss.update(losses)
        self.accuracy.update((logits.argmax(1) == target).float())
        self.counts += target.bincount(minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        results = {
            "loss": self.loss.compute(),
            "accuracy": self.accuracy.compute(),
            "commonest": _commonest(self.counts),
        }
        self.loss.reset()
        self.accuracy.reset()
        self.counts.zero_()
        return results


def _commonest(counts: Tensor) -> Tensor:
    """The share of the commonest category, over all processes that train together."""
    counts = summed(counts)
    return counts.max() / counts.sum()


class Masked(Supervised):
    r"""Masked nodes: the cross entropy of what hidden nodes are, summed over their columns.

    `"Strategies for Pre-training Graph Neural Networks" <https://arxiv.org/abs/1905.12265>`_
    hides atoms, `BERT <https://arxiv.org/abs/1810.04805>`_ words. Of each graph a share of the
    nodes is hidden, at least one: they enter as the zero vector with their positions and edges.
    So the model is the one that is to be fine-tuned, number for number.

    In training other nodes are drawn each time; elsewhere a graph's row decides which, so that
    epochs are compared on the same ones, in whatever batch.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`; the model gives
            logits of each node.
        vocab_size (int): Symbols V of ``data.token``; 0 if there are none.
        categories (list of int): Sizes of the columns F of ``data.x`` otherwise.
        share (float): Of the nodes that are hidden.

    Shapes:
        - **model(batch):** ``[N, V]``, or ``[N, C_1 + ... + C_F]``

    Raises:
        ValueError: If the share is not between 0 and 1, or nothing of the model's encoder can be
            hidden.
    """

    LOSS_NAME = "loss (nats per hidden node)"

    def __init__(
        self,
        model: nn.Module,
        *,
        vocab_size: int = 0,
        categories: Sequence[int] = (),
        share: float = 0.15,
        **kwargs: Any,
    ):
        if not 0 < share < 1:
            raise ValueError(f"task.share must be between 0 and 1, got {share}")
        encoder = getattr(model, "encoder", None)
        parts = [getattr(encoder, name, None) for name in HIDEABLE]
        if not any(parts):
            raise ValueError(
                f"nothing can be hidden from the encoder of {type(model).__name__}: task=masked "
                "takes models with a gia.nn.NodeEncoder, such as model=graph_transformer"
            )
        self.sizes = [vocab_size] if vocab_size else list(categories)
        super().__init__(model, metrics=lambda split: MaskedMetrics(self.sizes[0]), **kwargs)
        self.tokens, self.share = bool(vocab_size), share

    @property
    def kind(self) -> str:
        return "a model that was trained on hidden nodes"

    def hidden(self, batch: Batch) -> Tensor:
        """The nodes to hide, ``[M]``."""
        if self.training:
            draws = torch.rand(batch.num_nodes)
        else:
            sizes, rows = batch.ptr.diff().tolist(), batch.row.tolist()
            generator = torch.Generator()
            pairs = zip(sizes, rows, strict=True)
            draws = [torch.rand(n, generator=generator.manual_seed(row)) for n, row in pairs]
            draws = torch.cat(draws)
        return topk(draws.to(batch.batch.device), self.share, batch.batch)

    def check_predicts(self) -> None:
        raise ValueError(
            f"this is {self.kind}, which predicts no targets: start a training of targets from it "
            "with init_from=..., or use gia embed"
        )

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of each hidden node ``[M]``, its logits ``[M, C]`` and what it is ``[M, F]``."""
        nodes = self.hidden(batch)
        target = (batch.token.unsqueeze(1) if self.tokens else batch.x)[nodes]
        with self.hiding(nodes):
            logits = self.model(batch)[nodes].float()
        parts = logits.split(self.sizes, dim=1)
        each = [
            cross_entropy(part, column, reduction="none")
            for part, column in zip(parts, target.T, strict=True)
        ]
        return torch.stack(each).sum(0), parts[0], target

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        losses, _, _ = self.losses(batch)
        return losses.mean(), len(losses)

    def measure(self, metrics: MaskedMetrics, batch: Batch) -> None:
        losses, logits, target = self.losses(batch)
        metrics.update(losses, logits, target[:, 0])

    @contextmanager
    def hiding(self, nodes: Tensor) -> Iterator[None]:
        """Let the encoder see nothing of what these nodes are.

        Args:
            nodes (Tensor): Their numbers in the batch, ``[M]``.
        """
        encoder = self.model.encoder
        hooks = [
            part.register_forward_hook(lambda _, given, made: made.index_fill(0, nodes, 0.0))
            for part in (getattr(encoder, name, None) for name in HIDEABLE)
            if part is not None
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
