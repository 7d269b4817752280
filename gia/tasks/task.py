"""What every training task shares: a model, an optimiser, a schedule, and what it can be asked."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule
from rich.console import Console
from torch import nn
from torch.optim import Optimizer

from gia.analysis.summary import model_name, print_costs, print_metrics, write_summary
from gia.tasks.report import FinishedRun, best_epoch, costs, of_test, picture_curves

FORMAT = 1  # of the settings in a checkpoint; a change that old files do not survive counts it up


class Task(LightningModule):
    """A model, how its parameters are stepped, and what is said of it.

    A new task is one subclass with its steps (most derive from :class:`~gia.tasks.Supervised`,
    those with targets from :class:`~gia.tasks.Prediction`). The console asks it for a
    :meth:`report`, for predictions and for new sequences; what a task cannot do, it answers with
    the command that fits.

    Args:
        model (nn.Module): What is trained.
        optimizer (callable): ``optimizer(parameter_groups)``.
        scheduler (callable, optional): ``scheduler(optimizer, total_steps=...)``, stepped with
            every optimiser step.
        settings (dict, optional): The resolved configuration, kept in checkpoints so that a model
            can be built again from its file alone.
    """

    LOSS_NAME = "loss"  # and its unit, in pictures
    NODE_NAME = "nodes"  # what nodes are called beside the speed

    def __init__(
        self,
        model: nn.Module,
        *,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
        settings: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.save_hyperparameters({"format": FORMAT, "settings": settings or {}}, logger=False)
        self.model = model
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self._frozen_modules: list[nn.Module] = []
        self._lr_factors: dict[str, float] = {}
        self.lr: float | None = None  # where Lightning's LearningRateFinder puts what it has found

    def start_from(self, taken: Iterable[str], frozen: Iterable[str], factor: float) -> None:
        """Train a model on that has taken a part of itself from another.

        Args:
            taken, frozen (list of str): Names in the model's ``state_dict``; what is frozen is not
                trained, and what is frozen as a whole behaves as in eval mode.
            factor (float): The learning rate of what was taken, over that of the rest.

        Raises:
            ValueError: If nothing is left to train.
        """
        frozen = set(frozen)
        for name, parameter in self.model.named_parameters(remove_duplicate=False):
            if name in frozen:
                parameter.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise ValueError("all of the model is frozen: nothing is left to train")
        self._lr_factors = dict.fromkeys(taken, factor)
        # Else a batch norm would go on counting, and dropout on drawing.
        saved = list(self.model.state_dict())
        self._frozen_modules = [
            part
            for name, module in self.model.named_modules()
            if _is_frozen(name, saved, frozen)
            for part in module.modules()  # dropout too, which has nothing to freeze
        ]
        self.train(self.training)

    def train(self, mode: bool = True) -> "Task":
        super().train(mode)
        for module in self._frozen_modules:
            module.training = False
        return self

    def configure_optimizers(self) -> dict[str, Any]:
        own = getattr(self.model, "lr_factors", {})  # which a model says of single parameters
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise ValueError(
                "nothing of the model is trained: choose adapter=..., or adapter=none to measure a "
                "pretrained model as it is"
            )
        optimizer = self.make_optimizer(parameter_groups(self.model, own | self._lr_factors))
        for group in optimizer.param_groups:  # before a scheduler takes them as the highest
            group["lr"] *= group.pop("lr_factor", 1.0)
        # A fused step offers to take float16's scale off by itself. That is after clipping, so
        # Lightning refuses to clip; declined, the scale is taken off before, as for others.
        optimizer._step_supports_amp_scaling = False
        if self.make_scheduler is None:
            return {"optimizer": optimizer}
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.make_scheduler(optimizer, total_steps=total_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        # Lightning's finder restores the old learning rate after it has set its own.
        if self.lr is None:
            return
        (optimizer,) = self.trainer.optimizers
        ratio = self.lr / optimizer.defaults["lr"]
        for group in optimizer.param_groups:
            group |= {key: group[key] * ratio for key in ("lr", "initial_lr") if key in group}
        for config in self.trainer.lr_scheduler_configs:
            config.scheduler.base_lrs = [lr * ratio for lr in config.scheduler.base_lrs]

    def report(
        self, run: FinishedRun, metrics: dict[str, float], console: Console
    ) -> dict[str, Any]:
        """Write the pictures, ``summary.json`` and the final table of a run.

        Args:
            run (FinishedRun): The run, fitted.
            metrics (dict): Its test metrics.
            console (Console): Where the table goes.

        Returns:
            What ``summary.json`` holds.
        """
        pictures = picture_curves(run)
        test = of_test(metrics)
        summary = {
            "test": test,
            "val": best_epoch(run),
            **costs(run),
            "data": run.datamodule.summary(),
            "pictures": [picture.name for picture in pictures],
        }
        write_summary(run.folder, summary)
        name = model_name(self.model)
        print_metrics("Test", "model", list(test), {name: test}, console, bold=name)
        print_costs(summary, console, self.NODE_NAME)
        return summary

    def check_predicts(self) -> None:
        """Ask, before any data is read, whether the task predicts targets.

        Raises:
            ValueError: If it does not.
        """
        raise ValueError(
            f"this is {self.kind}, which predicts no targets: use gia generate or gia evaluate, or "
            "give the checkpoint of a regression or classification"
        )

    def predict_table(self, data: Any, out: Path, key: str | None = None) -> dict[str, Any]:
        """Write the table of a datamodule's source again, with predictions: see
        :meth:`gia.tasks.Prediction.predict_table`.

        Raises:
            ValueError: If the task predicts no targets.
        """
        self.check_predicts()
        raise NotImplementedError

    def predict_part(self, data: Any, part: str, out: Path) -> dict[str, Any]:
        """Write the predictions of one part of the data: see
        :meth:`gia.tasks.Prediction.predict_part`.

        Raises:
            ValueError: If the task predicts no targets.
        """
        self.check_predicts()
        raise NotImplementedError

    def generate(self, prompt: str = "", **options: Any) -> list[str]:
        """Write new sequences: see :meth:`gia.tasks.LanguageModeling.generate`.

        Raises:
            ValueError: If the task writes none.
        """
        raise ValueError(
            f"this is {self.kind}, which writes nothing: use gia predict, or give the checkpoint "
            "of a language model"
        )

    @property
    def kind(self) -> str:
        """What messages call it."""
        return f"a model of {type(self).__name__}"


def parameter_groups(
    model: nn.Module, lr_factors: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Weight matrices decay; biases, norms, eps, sharpening and other scalars do not.

    A parameter is a weight matrix if it has at least two dimensions and is neither a bias nor part
    of a norm; a layer may hold one matrix for each head. What is frozen is in no group.

    Args:
        model (nn.Module): Whose parameters.
        lr_factors (dict, optional): By a parameter's name its learning rate over that of the rest;
            the groups of such parameters have it as ``lr_factor``.
    """
    factors = {
        parameter: lr_factors[name]
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if name in (lr_factors or {})
    }
    groups: dict[tuple[float, bool], dict[str, Any]] = {
        (1.0, False): {"params": []},
        (1.0, True): {"params": [], "weight_decay": 0.0},
    }
    seen = set()  # a shared parameter is in a group once
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in seen or not parameter.requires_grad:
                continue
            seen.add(parameter)
            vector = parameter.dim() < 2 or name == "bias" or "Norm" in type(module).__name__
            factor = factors.get(parameter, 1.0)
            group = groups.setdefault((factor, vector), {"params": [], "lr_factor": factor})
            if vector:
                group["weight_decay"] = 0.0
            group["params"].append(parameter)
    return list(groups.values())


def _is_frozen(module: str, saved: Iterable[str], frozen: set[str]) -> bool:
    """Whether a module has saved numbers, its own or its parts', and all of them are frozen."""
    own = [name for name in saved if name.startswith(f"{module}." if module else "")]
    return bool(own) and frozen.issuperset(own)
