"""A model that starts from another's: its encoder and blocks, as far as they are the same here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from gia.data import read_tokenizer

# Which parts are taken, and under which name of ``freeze``.
PARTS = {"encoder": "encoder", "edge_encoder": "encoder", "blocks": "blocks"}
SYMBOLS = "encoder.token.weight"  # a row for each symbol
FREEZE = ("encoder", "blocks", "taken")


@dataclass(frozen=True)
class Start:
    """What a model has taken from another, and how it is trained on.

    Attributes:
        init_from (str): The checkpoint that it was taken from.
        taken (tuple of str): Names of parameters and buffers of the model.
        freeze (str, optional): What of it is not trained: ``"encoder"``, ``"blocks"``, or
            ``"taken"``, all of it.
        init_lr (float): The learning rate of what was taken, over that of the rest.
    """

    init_from: str
    taken: tuple[str, ...]
    freeze: str | None = None
    init_lr: float = 1.0

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of what is not trained."""
        if self.freeze is None:
            return ()
        return tuple(name for name in self.taken if self.freeze in ("taken", PARTS[_root(name)]))

    def settings(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, so that a resumed run does not read the other again."""
        return {
            "init_from": self.init_from,
            "freeze": self.freeze,
            "init_lr": self.init_lr,
            "taken": list(self.taken),
        }


def check_start(cfg: DictConfig) -> None:
    """Look at ``init_from``, ``freeze`` and ``init_lr`` before anything is read.

    Raises:
        ValueError: If one is out of range, or says how to train what is not taken.
    """
    freeze, factor = cfg.get("freeze"), cfg.get("init_lr", 1.0)
    if freeze is not None and freeze not in FREEZE:
        raise ValueError(f"freeze must be {', '.join(FREEZE)} or null, got {freeze!r}")
    if not factor > 0:
        raise ValueError(
            f"init_lr must be above 0, got {factor}: freeze=taken leaves what was taken as it is"
        )
    if (freeze is not None or factor != 1) and not (cfg.get("init_from") or cfg.get("ckpt_path")):
        raise ValueError(
            "freeze and init_lr are about what init_from has given: give init_from=... a checkpoint"
        )


def take(
    model: nn.Module,
    checkpoint: Mapping[str, Any],
    cfg: DictConfig,
    settings: Mapping[str, Any],
) -> tuple[Start, list[str]]:
    """Start a model's encoder and blocks from a trained one's, by name and shape.

    Args:
        model (nn.Module): Changed in place.
        checkpoint (dict): Of :func:`~gia.training.load_checkpoint`.
        cfg (DictConfig): ``init_from``, ``freeze`` and ``init_lr`` are read.
        settings (dict): The model's own: ``model``, and ``inputs`` with what its data says.

    Returns:
        What was taken, and what to say of it, line by line.

    Raises:
        ValueError: If the other has another width or other symbols, or nothing matches.
    """
    theirs = checkpoint["hyper_parameters"]["settings"]
    _check_width(cfg.init_from, theirs.get("model") or {}, settings["model"])
    state = {
        name.removeprefix("model."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("model.")
    }
    _choose_symbols(cfg.init_from, state, theirs.get("inputs") or {}, settings["inputs"])
    ours = {name: value for name, value in model.state_dict().items() if _root(name) in PARTS}
    taken = tuple(name for name in ours if name in state and state[name].shape == ours[name].shape)
    if not taken:
        raise ValueError(
            f"init_from={cfg.init_from}: nothing of its encoder and blocks has the name and shape "
            "of a part of this model; give the model, attention and mlp settings that it was "
            "trained with (config.yaml beside it has them)"
        )
    with torch.no_grad():
        for name in taken:
            ours[name].copy_(state[name])
    start = Start(str(cfg.init_from), taken, cfg.freeze, float(cfg.init_lr))
    if start.freeze is not None and not start.frozen:
        raise ValueError(
            f"freeze={start.freeze}, but nothing of it was taken from {cfg.init_from}: only "
            f"{_listed(_parts(taken))} is the same here"
        )
    left = [name for name in state if _root(name) in PARTS and name not in taken]
    return start, _told(start, ours, left, _rest(model))


def resume(cfg: DictConfig, checkpoint: Mapping[str, Any]) -> Start | None:
    """How the run that is resumed had started; what it took is in its own checkpoint.

    Raises:
        ValueError: If the settings say that it was trained otherwise.
    """
    saved = checkpoint["hyper_parameters"]["settings"]
    known = {"freeze": saved.get("freeze"), "init_lr": saved.get("init_lr", 1.0)}
    for key, default in (("freeze", None), ("init_lr", 1.0)):
        value = cfg.get(key, default)
        if value not in (default, known[key]):
            raise ValueError(
                f"{cfg.ckpt_path} was trained with {key}={known[key]}, but here {key}={value}: a "
                "run that goes on keeps it; init_from starts another"
            )
    if not saved.get("taken"):
        if cfg.get("init_from"):
            raise ValueError(
                f"{cfg.ckpt_path} did not start from another model: leave init_from out, or leave "
                "ckpt_path out to start a new run"
            )
        return None
    return Start(saved["init_from"], tuple(saved["taken"]), **known)


def _check_width(init_from: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for key in ("width", "heads"):
        there, here = theirs.get(key), ours.get(key)
        if there != here and None not in (there, here):
            raise ValueError(
                f"init_from={init_from} was trained with model.{key}={there}, but here "
                f"model.{key}={here}: give model.{key}={there}"
            )


def _choose_symbols(
    init_from: str,
    state: dict[str, Tensor],
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
) -> None:
    """Put the embeddings of symbols into the order of this model's vocabulary, in place."""
    there, here = theirs.get("tokenizer"), ours.get("tokenizer")
    if there is None or here is None or there == here:
        return
    there, here = (read_tokenizer(config).symbols for config in (there, here))
    unknown = [symbol for symbol in here if symbol not in there]
    if unknown:
        raise ValueError(
            f"init_from={init_from} does not know the symbols {' '.join(unknown)}: give data of "
            "the same alphabet, and without classes as tokens (data.append_label=false)"
        )
    rows = torch.tensor([there.index(symbol) for symbol in here])
    if SYMBOLS in state:
        state[SYMBOLS] = state[SYMBOLS][rows]


def _rest(model: nn.Module) -> list[str]:
    """Names of what is never taken, without the head; such as the last norm."""
    return [name for name in model.state_dict() if _root(name) not in (*PARTS, "head")]


def _told(
    start: Start, ours: Mapping[str, Tensor], left: Iterable[str], rest: Iterable[str]
) -> list[str]:
    sizes = [sum(ours[name].numel() for name in names) for names in (start.taken, ours)]
    lines = [
        f"init_from={start.init_from}: {len(start.taken)} of {len(ours)} tensors of encoder and "
        f"blocks taken, {sizes[0]:,} of {sizes[1]:,} numbers"
    ]
    taken, new = set(start.taken), [name for name in ours if name not in start.taken]
    new += rest
    lines.append(f"  taken: {_listed(_parts(name for name in ours if name in taken))}")
    for what, names in (("new here", new), ("left behind", left), ("frozen", start.frozen)):
        if names:
            lines.append(f"  {what}: {_listed(_parts(names))}")
    if start.init_lr != 1:
        lines.append(f"  learning rate of what was taken: {start.init_lr:g} times that of the rest")
    return lines


def _parts(names: Iterable[str]) -> dict[str, int]:
    """How many tensors of each part, such as ``blocks.0``, are among these."""
    parts: dict[str, int] = {}
    for name in names:
        part = ".".join(name.split(".")[:2])
        parts[part] = parts.get(part, 0) + 1
    return parts


def _listed(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{part} ({number})" for part, number in parts.items())


def _root(name: str) -> str:
    return name.partition(".")[0]
