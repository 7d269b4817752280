"""Language modelling: predict the symbol that follows each node."""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch

from gia.training.metrics import LanguageMetrics
from gia.training.task import Task


class LanguageModeling(Task):
    """Next-symbol prediction with a :class:`~gia.models.LanguageModel`.

    Validation runs over two loaders, the validation split and as much of the training split, both
    in eval mode, so that ``generalisation_gap`` (validation minus training loss) compares like with
    like. The training loss logged at each step has dropout on and is no part of it.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.training.Task`.
        vocab_size (int): Symbols V.
    """

    # The validation loaders in their order, and the test loader.
    SPLITS = ("val", "train_eval")

    def __init__(self, model: Any, *, vocab_size: int, **kwargs: Any):
        super().__init__(model, **kwargs)
        self.vocab_size = vocab_size
        for split in (*self.SPLITS, "test"):
            self.add_module(f"{split}_metrics", LanguageMetrics(vocab_size))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = cross_entropy(self.model(batch).float(), batch.y)
        # Lightning cannot tell how much a PyG batch holds: the weight of its loss is its tokens.
        self.log("train/loss", loss, prog_bar=True, batch_size=batch.num_nodes)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._metrics(self.SPLITS[dataloader_idx]).update(self.model(batch), batch)

    def on_validation_epoch_end(self) -> None:
        losses = {}
        for split in self.SPLITS:
            metrics = self._metrics(split)
            if metrics.loss.update_called:
                results = metrics.compute()
                losses[split] = results["loss"]
                self._log(split, results)
        if len(losses) == 2:
            self.log("generalisation_gap", losses["val"] - losses["train_eval"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._metrics("test").update(self.model(batch), batch)

    def on_test_epoch_end(self) -> None:
        self._log("test", self._metrics("test").compute())

    def _metrics(self, split: str) -> LanguageMetrics:
        return getattr(self, f"{split}_metrics")

    def _log(self, split: str, results: dict[str, Tensor]) -> None:
        for name, value in results.items():
            self.log(f"{split}/{name}", value, prog_bar=(split, name) == ("val", "loss"))
