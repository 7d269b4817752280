"""What is kept and measured beside the training itself."""

import random
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from gia.training.checkpoint import read_checkpoint


class RandomState(Callback):
    """Keep all random states in the checkpoint, so that a resumed run draws what it would have.

    Plain numbers and tensors only: the checkpoint loads with ``weights_only=True``.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        version, words, gauss = random.getstate()
        name, keys, position, has_gauss, cached = np.random.get_state()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "python": [version, list(words), gauss],
            "numpy": [str(name), keys.tolist(), int(position), int(has_gauss), float(cached)],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not earlier: setting up the run may draw random numbers of its own.
        if self._loaded is None:
            return
        state, self._loaded = self._loaded, None
        torch.set_rng_state(state["torch"].cpu())
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([cuda.cpu() for cuda in state["cuda"]])
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))


# What is said of a best model that is not found.
OVERTAKEN = "a later one is, which this run meets if it goes the same way"
LOST = "from here on the best of the epochs to come is kept, which may be worse"


class BestCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint of the best model, which a resumed run inherits into its own folder.

    Lightning forgets the best model so far when the folder changes: a run resumed past its best
    epoch would end with a worse one. The best model is looked for beside the checkpoint that is
    resumed from, so that a folder can be moved or copied, and in the run's own folder: the path in
    the checkpoint may be any file's, so only its name counts.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._beside: Path | None = None

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._beside = Path(trainer.ckpt_path).parent

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not state_dict["best_model_path"]:
            return
        name, score = Path(state_dict["best_model_path"]).name, state_dict["best_model_score"]
        folders = [folder for folder in (self._beside, Path(self.dirpath)) if folder is not None]
        # A later one may have taken its place: each file says how good its own model is.
        scores = {folder / name: self._score(folder / name) for folder in folders}
        best = next((place for place, found in scores.items() if found == score), None)
        if best is None:
            overtaken = any(self.is_better(found, score) for found in scores.values())
            warnings.warn(
                f"the best model so far ({self.monitor} {float(score):.4g}) is not in "
                f"{' or '.join(map(str, scores))}: {OVERTAKEN if overtaken else LOST}",
                stacklevel=1,
            )
            return
        mine = Path(self.dirpath) / best.name
        if mine != best:
            mine.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(best, mine)
        super().load_state_dict(
            state_dict
            | {
                "dirpath": self.dirpath,
                "best_model_path": str(mine),
                "kth_best_model_path": str(mine),
                "best_k_models": {str(mine): score},
            }
        )

    def _score(self, path: Path) -> Tensor | None:
        """Of the model in a file; None if there is none, or if it cannot be read."""
        try:
            states = read_checkpoint(path)["callbacks"].values()
        except (OSError, ValueError):
            return None
        scores = [state["best_model_score"] for state in states if state.get("monitor")]
        return scores[0] if scores else None

    def is_better(self, score: Tensor | None, other: Tensor) -> bool:
        """Whether a score, if there is one, is better than another by the metric's direction."""
        return score is not None and bool(score > other if self.mode == "max" else score < other)


class StepCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint every n steps, at the moments from which a run can resume exactly.

    Not between the batches of one step, whose gradients so far no checkpoint holds; and not where
    a validation or the end of an epoch comes next, since a run resumed from there would skip it.
    """

    def on_train_batch_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self._step_before = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        stepped = trainer.global_step > self._step_before
        if stepped and not trainer.is_last_batch and not _validates(trainer, batch_idx):
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


def _validates(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation follows on this batch, by ``val_check_interval``."""
    every = trainer.check_val_every_n_epoch
    if every is not None and (trainer.current_epoch + 1) % every:
        return False
    # Without epochs to count by, batches are counted through.
    counted = trainer.fit_loop.total_batch_idx if every is None else batch_idx
    return (counted + 1) % trainer.val_check_batch == 0


class History(Callback):
    """The metrics of each epoch, kept in the checkpoint so that a resumed run's curves are whole.

    Attributes:
        epochs (list of dict): ``epoch``, ``step`` and every metric logged at validation.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = list(state_dict["epochs"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        # A run resumed from the end of an epoch may validate that epoch again.
        self.epochs = [done for done in self.epochs if done["step"] < row["step"]] + [row]


class Throughput(Callback):
    """Tokens per second of training, validation left out; logged each epoch.

    Attributes:
        tokens_per_second (float): Of the last epoch.
        seconds (float): Time spent training in all.
    """

    def __init__(self) -> None:
        self.tokens_per_second = 0.0
        self.seconds = 0.0
        self._tokens, self._elapsed = 0, 0.0  # of the epoch

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tokens, self._elapsed = 0, 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        elapsed = time.perf_counter() - self._start
        self._tokens += batch.num_nodes * trainer.world_size  # others have about as many
        self._elapsed += elapsed
        self.seconds += elapsed
        self.tokens_per_second = self._tokens / self._elapsed

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("train/tokens_per_second", self.tokens_per_second)
