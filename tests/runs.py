"""Small runs on real peptides, composed as the command line composes them."""

from pathlib import Path

from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from gia.data import Peptides

SMALL = [
    "model.width=16",
    "model.heads=2",
    "model.depth=2",
    "mlp=swiglu",
    "model.block.mlp.hidden=24",
    "callbacks.progress_bar=null",
    "logger.tensorboard=null",
    "name=test",
]


def peptides_fasta(folder: Path, number: int = 240) -> Path:
    """A FASTA file of some of the peptides."""
    path = folder / "peptides.fasta"
    records = Peptides().load()[:: 5200 // number]
    path.write_text("".join(f">{record.name}\n{record.sequence}\n" for record in records))
    return path


def compose_config(*overrides: str, name: str = "train") -> DictConfig:
    with initialize_config_module("gia.conf", version_base="1.3"):
        return compose(name, overrides=list(overrides))


def small_run(folder: Path, fasta: Path, *overrides: str) -> DictConfig:
    """The configuration of a run that takes seconds."""
    return compose_config(
        *SMALL, "data=fasta", f"data.path={fasta}", "data.tokens_per_batch=512", f"run_dir={folder}",
        *overrides,
    )  # fmt: skip
