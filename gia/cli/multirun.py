"""What a multirun needs that a single run does not."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class NamedByChoices(Callback):
    """Let ``${hydra:runtime.choices...}`` name the folder of a multirun.

    Hydra makes the folder before its first job, and only then knows what was chosen.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        HydraConfig.instance().set_config(config)
        OmegaConf.set_readonly(config.hydra, None)
