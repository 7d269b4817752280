"""A start out of data for what an adapter reads: the directions in which its inputs vary most."""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.decoder import DEFAULT, decoder
from gia.adapters.layer import SparseGIN
from gia.typing import OptTensor

BATCHES = 8  # more add little


@torch.no_grad()
def initialize(
    model: nn.Module,
    batches: Iterable[Mapping[str, Any]],
    name: str = DEFAULT,
    *,
    max_batches: int = BATCHES,
) -> None:
    r"""Let :math:`W_{in}` of an adapter start with what its inputs are made of.

    Its rows become the first right singular vectors of the inputs, found batch by batch, at the
    length that rows have at random: `"One Initialization to Rule them All: Fine-tuning via
    Explained Variance Adaptation" <https://arxiv.org/abs/2410.07170>`_. A new adapter with
    ``zero_output=True`` stays the identity. Call it before training, once.

    Args:
        model (nn.Module): A model with the adapter.
        batches (iterable of dict): What the model takes, such as ``{"input_ids": ...,
            "attention_mask": ...}``; tokens whose mask is 0 do not count. Labels are passed over.
        name (str): Which adapter.
        max_batches (int): Batches that are looked at.

    Raises:
        KeyError: If there is no such adapter.
        ValueError: If it is no Sparse-GIN, or there are fewer tokens than channels.
    """
    parts = decoder(model).adapter(name)
    if not all(isinstance(part, SparseGIN) for part in parts.values()):
        raise ValueError(f"the adapter {name!r} is no Sparse-GIN: no other starts out of data")
    found = {number: _Directions(part.in_proj) for number, part in parts.items()}
    mask: dict[str, OptTensor] = {}
    hooks = [
        part.in_proj.register_forward_pre_hook(partial(_look, found[number], mask))
        for number, part in parts.items()
    ]
    training = model.training
    model.eval()
    try:
        for batch in islice(batches, max_batches):
            batch = {key: value for key, value in batch.items() if key != "labels"}
            mask["mask"] = batch.get("attention_mask")
            model(**batch, use_cache=False)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    for number, directions in found.items():
        directions.check(f"layer {number}")
    for number, part in parts.items():
        found[number].fill(part.in_proj.weight)


class _Directions:
    """The largest singular values and right vectors of rows that come batch by batch."""

    def __init__(self, linear: nn.Linear):
        self.wanted, width = linear.weight.shape
        self.kept = min(2 * self.wanted, width)  # of a small one later batches may make a large one
        self.rows = linear.weight.new_zeros(0, width)
        self.seen = 0

    def add(self, rows: Tensor) -> None:
        self.seen += rows.size(0)
        _, values, vectors = torch.linalg.svd(
            torch.cat([self.rows, rows.to(self.rows)]), full_matrices=False
        )
        self.rows = (values.unsqueeze(1) * vectors)[: self.kept]

    def check(self, where: str) -> None:
        if self.rows.size(0) < self.wanted:
            raise ValueError(
                f"{where} has {self.wanted} channels to start, but was shown {self.seen} tokens: "
                "give more batches, or fewer channels"
            )

    def fill(self, weight: Tensor) -> None:
        vectors = torch.nn.functional.normalize(self.rows[: self.wanted], dim=1)
        weight.copy_(vectors * weight.norm(dim=1).mean())


def _look(found: _Directions, mask: dict[str, OptTensor], module: nn.Module, args: tuple) -> None:
    rows = args[0].flatten(0, -2)
    if mask["mask"] is not None:
        rows = rows[mask["mask"].flatten().to(rows.device) != 0]
    found.add(rows)
