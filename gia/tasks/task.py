"""What every training task shares: a model, an optimiser, a schedule."""

from collections.abc import Callable
from typing import Any

from pytorch_lightning import LightningModule
from torch import nn
from torch.optim import Optimizer


class Task(LightningModule):
    """A model and how its parameters are stepped. A new task is one subclass with its steps.

    Args:
        model (nn.Module): What is trained.
        optimizer (callable): ``optimizer(parameter_groups)``.
        scheduler (callable, optional): ``scheduler(optimizer, total_steps=...)``, stepped with
            every optimiser step.
        settings (dict, optional): The resolved configuration, kept in checkpoints so that a model
            can be built again from its file alone.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
        settings: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.save_hyperparameters({"settings": settings or {}}, logger=False)
        self.model = model
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.make_optimizer(parameter_groups(self.model))
        if self.make_scheduler is None:
            return {"optimizer": optimizer}
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.make_scheduler(optimizer, total_steps=total_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight matrices decay; biases, norms, eps, sharpening and other scalars do not.

    A parameter is a weight matrix if it has at least two dimensions and is neither a bias nor part
    of a norm; a layer may hold one matrix for each head.
    """
    decayed: dict[nn.Parameter, None] = {}  # ordered, and a shared parameter is in it once
    free: dict[nn.Parameter, None] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            vector = parameter.dim() < 2 or name == "bias" or "Norm" in type(module).__name__
            (free if vector else decayed)[parameter] = None
    return [{"params": list(decayed)}, {"params": list(free), "weight_decay": 0.0}]
