"""What a language model writes while it is trained."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor
from torch_geometric.data import Data

from gia.data.files import write_atomically
from gia.data.schema import IGNORED

FILE = "samples.txt"


class Samples(Callback):
    """Let a language model continue the first texts of the validation part, at each validation.

    Prompts are answered, other texts continued from a quarter on. All samples so far are in
    ``samples.txt`` of the run's folder, and kept in the checkpoint so that a resumed run has them
    too. The training is not disturbed: sampling draws no number of its.

    Args:
        number (int): How many texts.
        max_new_tokens (int): The most tokens of each sample.
        temperature (float): As in :func:`gia.nn.generate`; 0 takes the likeliest token.

    Raises:
        ValueError: If a number is below 1.
    """

    def __init__(self, number: int = 2, max_new_tokens: int = 80, temperature: float = 0.0):
        for name, value in (("number", number), ("max_new_tokens", max_new_tokens)):
            if value < 1:
                raise ValueError(f"callbacks.samples.{name} must be at least 1, got {value}")
        self.number, self.max_new_tokens, self.temperature = number, max_new_tokens, temperature
        self.written: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"written": self.written}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.written = list(state_dict["written"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data = trainer.datamodule
        if trainer.sanity_checking or not trainer.is_global_zero or data is None:
            return
        step = trainer.global_step
        # A run resumed from the end of an epoch may validate that epoch again.
        self.written = [sample for sample in self.written if sample["step"] < step]
        for graph in list(data.val_data)[: self.number]:
            self.written.append({"step": step} | self._sample(pl_module, data.tokenizer, graph))
        with write_atomically(Path(trainer.default_root_dir) / FILE) as file:
            file.write("\n".join(map(_as_text, self.written)))

    def _sample(self, task: pl.LightningModule, tokenizer: Any, graph: Data) -> dict[str, str]:
        length = graph.get("prompt_length") or max(1, graph.num_nodes // 4)
        prompt = graph.token[:length]
        shown = prompt[int(prompt[0] == tokenizer.bos) :] if tokenizer.bos is not None else prompt
        with torch.random.fork_rng():
            (text,) = task.generate(
                prompt, max_new_tokens=self.max_new_tokens, temperature=self.temperature
            )
        return {
            "prompt": tokenizer.decode(prompt, specials=False),
            "sample": text.removeprefix(tokenizer.decode(shown)),
            "reference": tokenizer.decode(_rest(graph, length), specials=False),
        }


def _rest(graph: Data, length: int) -> Tensor:
    """How a text goes on in the data."""
    y = graph.y[length - 1 :]
    return y[y != IGNORED]


def _as_text(sample: dict[str, Any]) -> str:
    lines = [f"== step {sample['step']}"]
    lines += [f"-- {name}\n{sample[name]}" for name in ("prompt", "sample", "reference")]
    return "\n".join(lines) + "\n"
