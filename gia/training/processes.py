"""A run on several processes, such as one for each GPU."""

import os

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only
from torch import distributed

from gia.training.quiet import SILENT

# What of the trainer says how many processes there are.
PLACES = ("accelerator", "devices", "num_nodes", "strategy")
# How launchers say it to each process: torchrun, SLURM.
LAUNCHED = ("WORLD_SIZE", "SLURM_NTASKS")
FOLDERS = ("run_dir", "hydra.run.dir")


def is_first_process() -> bool:
    """Whether this process is the one that writes and says things: that of rank 0, on all nodes."""
    return rank_zero_only.rank == 0


def processes(cfg: DictConfig) -> int:
    """How many processes a configuration is to be trained on."""
    if not asks_for_several(cfg):
        return 1
    places = {name: cfg.trainer[name] for name in PLACES if name in cfg.trainer}
    return pl.Trainer(**places, **SILENT).world_size


def asks_for_several(cfg: DictConfig) -> bool:
    """Whether a configuration may be trained on several processes."""
    return cfg.trainer.get("devices") not in (1, "1") or cfg.trainer.get("num_nodes", 1) != 1


def check_folder(cfg: DictConfig) -> None:
    """See that several processes agree on the run's folder.

    Those that Lightning starts are told it. Those of another program would each name one by their
    own clock, and those of a job of several would start all of them.

    Raises:
        ValueError: If the folder is not given, or the run is one of several jobs.
    """
    if not asks_for_several(cfg):
        return
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise ValueError(
            "-m runs its jobs one after the other on one process: give trainer.devices=1, or start "
            "each job by itself"
        )
    number = max(int(os.environ.get(name) or 1) for name in LAUNCHED)
    if number == 1:
        return
    given = [*HydraConfig.get().overrides.task, *HydraConfig.get().overrides.hydra]
    if not {override.lstrip("+").partition("=")[0] for override in given} & {*FOLDERS}:
        raise ValueError(
            f"run_dir is missing: {number} processes were started at once, and all of them need "
            "the same folder; give run_dir=..."
        )


def check_alone(trainer: pl.Trainer, what: str) -> None:
    """See that there is one process.

    Raises:
        ValueError: If there are several.
    """
    if trainer.world_size > 1:
        raise ValueError(
            f"{what} on one process, and trainer.devices={trainer.num_devices} asks for "
            f"{trainer.world_size}: give trainer.devices=1"
        )


def part_ways(trainer: pl.Trainer) -> None:
    """Let each process go on by itself, when all of them have come here."""
    if trainer.world_size > 1 and distributed.is_initialized():
        trainer.strategy.barrier()
        distributed.destroy_process_group()
