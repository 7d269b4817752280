"""A network and learners that are fitted at once, asked together as one model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from gia.data import DataModule
from gia.nn import Ensemble, count_parameters
from gia.tasks.prediction import Prediction
from gia.tasks.task import Task
from gia.training.blend_weights import PARTS, shares_by_validation
from gia.training.checkpoint import AtomicCheckpointIO, read_checkpoint

ENSEMBLE = "gia.nn.Ensemble"
BY_VALIDATION = "validation"
BLEND = "blend.ckpt"  # beside the checkpoints of the network alone


def is_kept(model: nn.Module) -> bool:
    """Whether a checkpoint holds what a model, which is fitted at once, has learned."""
    return type(model).get_extra_state is not nn.Module.get_extra_state


def fit_at_once(model: nn.Module, task: Task, data: DataModule) -> None:
    """Fit a model with a method ``fit(graphs, validation)``, classes counting as the task says."""
    weights = getattr(task, "class_weights", None)
    more = {} if weights is None else {"class_weights": weights}
    model.fit(data.train_data, data.val_data, **more)


@dataclass
class Blend:
    """What is fitted beside a network, such as gradient boosting, and averaged with it.

    Networks and trees err in different places, so that their mean errs less than either.

    Attributes:
        models (list of nn.Module): Each with a method ``fit(graphs, validation)``.
        configs (list of dict): Their configurations, which a checkpoint keeps.
        by_validation (bool): Whether they and the network count as
            :func:`~gia.training.blend_weights.shares_by_validation` finds, or all alike.
    """

    models: list[nn.Module]
    configs: list[dict[str, Any]]
    by_validation: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any], task: Task) -> "Blend | None":
        """The one that a run's configuration asks for, if it does: of one model, or of several by
        their names.

        Raises:
            ImportError: If its library is not installed.
            ValueError: If there is nothing to be averaged, or it cannot be kept.
        """
        weights = config.get("blend_weights")
        if weights not in (None, BY_VALIDATION):
            raise ValueError(f"blend_weights must be {BY_VALIDATION} or null, got {weights!r}")
        if config.get("blend") is None:
            return None
        if not isinstance(task, Prediction) or task.level != "graph":
            raise ValueError("blend= is of predictions of whole graphs: leave it out here")
        if not count_parameters(task.model):
            raise ValueError(
                "blend= stands beside a network, and this model is fitted at once itself: leave "
                "it out, or choose model=graph_transformer"
            )
        blend = config["blend"]
        configs = [blend] if "_target_" in blend else [one for one in blend.values() if one]
        models = [instantiate(one) for one in configs]
        for model in models:
            if not is_kept(model):
                raise ValueError(
                    f"a {model.NAME} is kept in no checkpoint, and so in no blend: choose "
                    "blend=extra_trees, gradient_boosting or trees"
                )
        return cls(models, configs, weights == BY_VALIDATION) if models else None

    def fit(self, task: Task, data: DataModule) -> None:
        """Fit them, before the network: what is wrong is told before the long work."""
        for model in self.models:
            fit_at_once(model, task, data)

    def join(self, task: Task, data: DataModule, path: Path | None, out: Path | None) -> None:
        """Put them beside the trained network of a task, and into a checkpoint.

        Args:
            task (Task): Its model becomes a :class:`gia.nn.Ensemble` of all.
            data (DataModule): On whose validation part they are weighed, if they are.
            path (Path, optional): The checkpoint of the network's weights.
            out (Path, optional): The checkpoint of all.
        """
        fitted = [model.eval() for model in self.models]
        task.model = Ensemble([task.model, *fitted]).train(task.model.training)
        settings = task.hparams["settings"]
        joined = {"_target_": ENSEMBLE, "models": [settings["model"], *self.configs]}
        if self.by_validation:
            counts = shares_by_validation(task, data)
            task.model.counts = joined["counts"] = counts
            names = ["the network", *(f"the {model.NAME}" for model in self.models)]
            told = zip(names, counts, strict=True)
            told = ", ".join(f"{name} {count / PARTS:.0%}" for name, count in told)
            rank_zero_only(print)(f"  blend, by validation: {told}")
        settings["model"] = joined
        if path is not None:
            known = {"hyper_parameters": dict(task.hparams), "state_dict": task.state_dict()}
            AtomicCheckpointIO().save_checkpoint(read_checkpoint(path) | known, out)
