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
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar


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


class BestCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint of the best model, which a resumed run inherits into its own folder.

    Lightning forgets the best model so far when the folder changes: a run resumed past its best
    epoch would end with a worse one.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not state_dict["best_model_path"]:
            return
        best = Path(state_dict["best_model_path"])
        if not best.is_file():
            warnings.warn(f"the best model so far, {best}, is gone: starting without", stacklevel=2)
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
                "best_k_models": {str(mine): state_dict["best_model_score"]},
            }
        )


class StepCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint every n steps, at the moments from which a run can resume exactly.

    Not between the batches of one step, whose gradients so far no checkpoint holds; and not at the
    last step of an epoch, since a run resumed from there would skip the epoch's validation: the
    checkpoint at the epoch's end follows at once.
    """

    def on_train_batch_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self._step_before = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.global_step > self._step_before and not trainer.is_last_batch:
            super().on_train_batch_end(trainer, *args, **kwargs)


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
        self._tokens += batch.num_nodes
        self._elapsed += elapsed
        self.seconds += elapsed
        self.tokens_per_second = self._tokens / self._elapsed

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("train/tokens_per_second", self.tokens_per_second)


class ProgressBar(RichProgressBar):
    """Lightning's rich progress bar, without the logger's version number."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return items
