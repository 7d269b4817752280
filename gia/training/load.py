"""A trained model, out of its checkpoint alone."""

from collections.abc import Iterable
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gia.tasks.task import Task
from gia.training.calibration import keep, learn, restore
from gia.training.checkpoint import check_architecture, load_checkpoint
from gia.training.trained_data import trained_data
from gia.training.trusted import as_modules


def load_trained(
    ckpt_path: str | Path,
    *,
    trust: str | Iterable[str] | None = None,
    base: str | Path | None = None,
) -> tuple[Task, DictConfig]:
    """Build a trained model again from its checkpoint alone.

    Args:
        ckpt_path (Path): A checkpoint of a run.
        trust (str or list of str, optional): Your own modules whose classes the model is made of;
            without, only gia, its libraries' layers, optimisers and data sets are built.
        base (str, optional): Where the pretrained model is that was adapted, if it is no longer
            where it was.

    Returns:
        The task with the trained model in eval mode, and its configuration, whose ``inputs`` say
        what the model knows of its data.

    Raises:
        FileNotFoundError, ValueError: If there is no such checkpoint, it cannot be used, or it
            names what is not to be built.
    """
    checkpoint = load_checkpoint(ckpt_path, trust=as_modules(trust))
    config = OmegaConf.create(checkpoint["hyper_parameters"]["settings"])
    if base is not None:
        _move_base(config, str(base))
    task = instantiate(config.task)(
        model=instantiate(config.model),
        optimizer=instantiate(config.optimizer),
        settings=OmegaConf.to_container(config),
    )
    check_architecture(task.model, checkpoint, ckpt_path)
    task.load_state_dict(checkpoint["state_dict"], strict=False)
    restore(task, checkpoint, ckpt_path)
    return task.eval(), config


def _move_base(config: DictConfig, base: str) -> None:
    """Say where a model's base is now: for itself, and for its tokenizer wherever that stands."""
    if "base" not in (config.get("model") or {}):
        raise ValueError(
            f"base={base} is for models that were adapted (model=pretrained), and this is none: "
            "leave it out"
        )
    for place in ("model", "tokenizer", "data.tokenizer", "inputs.tokenizer"):
        if OmegaConf.select(config, f"{place}.base") is not None:
            OmegaConf.update(config, f"{place}.base", base)


def calibrate(ckpt_path: str | Path, *, trust: str | Iterable[str] | None = None) -> list[str]:
    """Calibrate a checkpoint that is not, as a run does with its best one at the end.

    Its own data is read again. The file is replaced in one step; nothing else in it changes.

    Args:
        ckpt_path (Path): A checkpoint of a model that predicts targets.
        trust (list of str, optional): As in :func:`load_trained`.

    Returns:
        What could not be calibrated, and why.

    Raises:
        FileNotFoundError, ValueError: As :func:`load_trained`; if the model predicts no targets, or
            its data has changed since the training.
    """
    task, config = load_trained(ckpt_path, trust=trust)
    task.check_predicts()
    learn(task, trained_data(config))
    keep(task, Path(ckpt_path))
    return list(task.calibration_notes())
