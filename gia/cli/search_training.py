"""The training that a search is of: composed, checked, and told apart from what is varied."""

import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from gia.cli.command import prepare
from gia.cli.errors import of_composition, of_job, wants_traceback
from gia.cli.search_arguments import Arguments, own_keys
from gia.cli.texts import as_spelled, nodes, settle


class Training:
    """What ``gia train`` would do with the arguments of a search, and with others besides.

    Args:
        parts (Arguments): Of the command line of the search.

    Attributes:
        cfg (DictConfig): The configuration without what is varied.
        choices (dict): The option of each group that is chosen in it.

    Raises:
        HydraException, OmegaConfBaseException, ValueError: If it is no training, or none that a
            trial can be.
    """

    def __init__(self, parts: Arguments):
        self._parts = parts
        self.cfg, self.choices = self._compose([])
        prepare(self.cfg)
        if self.cfg.ckpt_path is not None:
            raise ValueError("ckpt_path resumes a single training: leave it out")
        given = {"ensemble": "ensemble=5", "blend": "blend=gradient_boosting"}
        for key, sweep in parts.sweeps.items():
            if (group := key.partition(".")[0]) in given:
                raise ValueError(
                    f"{sweep}: a trial trains one model, so that this cannot be varied; "
                    f"{given[group]} is for gia train with the best settings"
                )

    def configure(self, settings: Sequence[str]) -> DictConfig:
        """The configuration with some settings besides."""
        cfg, _ = self._compose(settings)
        settle(cfg)  # what there is to say of it has been said
        return cfg

    def sweeps(self, default: Mapping[str, str] | None) -> list[str]:
        """What is varied: by default, where there is such a setting and it is not given; and more.

        Args:
            default (dict, optional): A sweep for each key.

        Raises:
            ValueError: If that is nothing.
        """
        known = {key for key, _ in nodes(self.cfg)} | self.choices.keys()
        usable = known - self._parts.fixed()
        used = {key: f"{key}={sweep}" for key, sweep in (default or {}).items() if key in usable}
        sweeps = list((used | self._parts.sweeps).values())
        if not sweeps:
            raise ValueError(
                "there is nothing to vary: give a setting as in 'optimizer.lr=interval(1e-4,1e-2)'"
            )
        return sweeps

    def check(self, space: Any) -> None:
        """Compose with a value of each setting, and with each option of a group.

        Raises:
            HydraException: If there is no such setting or option.
        """
        self._compose(space.settings({dimension.name: dimension.some() for dimension in space}))
        for dimension in space:
            if dimension.name in self.choices:
                for value in dimension.values()[1:]:
                    self._compose([dimension.setting(value)])

    def values(self, space: Any) -> dict[str, Any]:
        """The values that settings of a space have where they are not varied."""
        found = {}
        for dimension in space:
            name = dimension.name
            with contextlib.suppress(OmegaConfBaseException):
                value = self.choices.get(name, OmegaConf.select(self.cfg, name))
                if value is None or isinstance(value, str | int | float):
                    found[name] = value
        return found

    def monitor(self) -> tuple[str, str]:
        """The metric by which it keeps its best model, and whether that is the lowest, ``min``.

        Raises:
            ValueError: If that is neither ``min`` nor ``max``.
        """
        best = (self.cfg.get("callbacks") or {}).get("best") or {}
        mode = best.get("mode") or "min"
        if mode not in ("min", "max"):
            raise ValueError(f"callbacks.best.mode must be min or max, got {mode!r}")
        return best.get("monitor") or "val/loss", mode

    def read_data(self, console: Console) -> str:
        """Read the data once, so that what is wrong with it is told once.

        Returns:
            The fingerprint of its split.
        """
        import pytorch_lightning as pl

        from gia.analysis import describe_data

        pl.seed_everything(self.cfg.seed, workers=True, verbose=False)
        datamodule = instantiate(self.cfg.data)
        datamodule.setup()
        describe_data(datamodule.summary(), console)
        if self.cfg.ensemble is not None:
            console.print(
                f"  ensemble={self.cfg.ensemble} is for gia train: trials train one model"
            )
        if self.cfg.get("blend") is not None:
            console.print("  blend= is for gia train: trials train the network alone")
        return datamodule.fingerprint()

    def _compose(self, settings: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
        """The configuration, and the option of each group that was chosen."""
        spelled = as_spelled([*self._parts.training, *settings])
        cfg = compose("train", overrides=spelled, return_hydra_config=True)
        choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
            cfg.name = "trial"  # it would be made of the choices of this command
        return cfg, choices


@contextlib.contextmanager
def told_as_train_tells(parts: Arguments) -> Iterator[None]:
    """Raise errors of a training with the line that ``gia train`` would end with.

    Raises:
        ValueError: With that line.
    """
    try:
        yield
    except Exception as error:
        kind = (HydraException, OmegaConfBaseException)
        if isinstance(error, kind) and not isinstance(error, InstantiationException):
            message = _meant(of_composition(error, parts.training, "train"))
        else:
            message = of_job(error, as_spelled(parts.training), "train")
        if message is None or wants_traceback():
            raise
        raise ValueError(message) from error


def _meant(message: str) -> str:
    """What to say of an unknown setting, where it is nearly one of the search's."""
    unknown = re.match(r"there is no setting ([^;]+)", message)
    close = difflib.get_close_matches(unknown[1], own_keys(), n=1, cutoff=0.75) if unknown else []
    return f"{unknown[0]}; did you mean {close[0]}?" if close else message
