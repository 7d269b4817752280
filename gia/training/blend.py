"""A network and learners that are fitted at once, asked together as one model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import nn

from gia.data import DataModule
from gia.nn import Ensemble, count_parameters
from gia.tasks.prediction import Prediction
from gia.tasks.task import Task
from gia.training.checkpoint import AtomicCheckpointIO, read_checkpoint

ENSEMBLE = "gia.nn.Ensemble"
BLEND = "blend.ckpt"  # beside the checkpoints of the network alone


@dataclass
class Blend:
    """What is fitted beside a network, such as gradient boosting, and averaged with it.

    Networks and trees err in different places, so that their mean errs less than either.

    Attributes:
        models (list of nn.Module): Each with a method ``fit(graphs, validation)``.
        configs (list of dict): Their configurations, which a checkpoint keeps.
    """

    models: list[nn.Module]
    configs: list[dict[str, Any]]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], task: Task) -> "Blend | None":
        """The one that a run's configuration asks for, if it does: of one model, or of several by
        their names.

        Raises:
            ImportError: If its library is not installed.
            ValueError: If the task gives it nothing to be averaged with.
        """
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
        configs = [blend] if "_target_" in blend else list(blend.values())
        return cls([instantiate(one) for one in configs], configs)

    def fit(self, data: DataModule) -> None:
        """Fit them, before the network: what is wrong is told before the long work."""
        for model in self.models:
            model.fit(data.train_data, data.val_data)

    def join(self, task: Task, path: Path | None, out: Path | None) -> None:
        """Put them beside the trained network of a task, and into a checkpoint.

        Args:
            task (Task): Its model becomes a :class:`gia.nn.Ensemble` of all.
            path (Path, optional): The checkpoint of the network's weights.
            out (Path, optional): The checkpoint of all.
        """
        fitted = [model.eval() for model in self.models]
        task.model = Ensemble([task.model, *fitted]).train(task.model.training)
        settings = task.hparams["settings"]
        settings["model"] = {"_target_": ENSEMBLE, "models": [settings["model"], *self.configs]}
        if path is not None:
            known = {"hyper_parameters": dict(task.hparams), "state_dict": task.state_dict()}
            AtomicCheckpointIO().save_checkpoint(read_checkpoint(path) | known, out)
