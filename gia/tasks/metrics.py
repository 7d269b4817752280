"""How good a model is on one part of the data: what the metrics of all tasks share."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, distributed, nn
from torchmetrics import CatMetric, Metric

# What is kept of a part of the data until its metrics are computed.
KEPT = ("output", "target", "weight", "bounds")


class Metrics(nn.Module):
    """The metrics of one split: ``update(...)`` for each batch, then :meth:`compute`.

    A model in half precision takes its metrics along, where a sum of losses stops growing: theirs
    stay in float32.
    """

    def _apply(self, fn: Callable, recurse: bool = True) -> "Metrics":
        super()._apply(fn, recurse)
        for metric in self.modules():
            if isinstance(metric, Metric) and metric.dtype in (torch.bfloat16, torch.float16):
                metric.set_dtype(torch.float32)
        return self

    @property
    def update_called(self) -> bool:
        """Whether there is anything to compute."""
        raise NotImplementedError

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far, ``loss`` among them; then starts again."""
        raise NotImplementedError


def on_any_process(said: bool, device: torch.device) -> bool:
    """Whether it is said on any of the processes that train together, which then agree on it."""
    return bool(summed(torch.tensor(float(said), device=device)))


def summed(number: Tensor) -> Tensor:
    """The sum over the processes that train together; the same where there is one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return number
    total = number.clone()
    distributed.all_reduce(total)
    return total


class PredictionMetrics(Metrics):
    """Keeps all predictions of a split, since AUROC and R2 are no means over batches.

    With several targets each metric is the mean over those that have it, and there is one more for
    each target, ``METRIC/TARGET``.

    Args:
        target_names (list of str): The targets, ``[T]``.
        split (str): What is measured, for messages.
    """

    def __init__(self, target_names: Sequence[str], *, split: str):
        super().__init__()
        self.target_names, self.split = list(target_names), split
        self.kept = nn.ModuleDict(  # missing targets are NaN
            {name: CatMetric(nan_strategy="disable") for name in KEPT}
        )
        self._shapes: dict[str, torch.Size] = {}

    @property
    def update_called(self) -> bool:
        return self.kept["target"].update_called

    def update(
        self,
        output: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        bounds: Tensor | None = None,
    ) -> None:
        """Add some graphs or nodes.

        Args:
            output (Tensor): What the model gives, ``[R, T, ...]``.
            target (Tensor): What it should be, ``[R, T]``; NaN where missing.
            weight, bounds (Tensor, optional): What :class:`~gia.tasks.losses.Loss` takes besides.
        """
        for name, value in zip(KEPT, (output.detach(), target, weight, bounds), strict=True):
            if value is not None:
                self.kept[name].update(value)
                self._shapes[name] = value.shape[1:]

    def compute(self) -> dict[str, Tensor]:
        more = {name: self._joined(name) for name, kept in self.kept.items() if kept.update_called}
        output, target = more.pop("output"), more.pop("target")
        known = ~target.isnan()
        pairs = [(output[rows, t], target[rows, t]) for t, rows in enumerate(known.T)]
        self.check([of_target for _, of_target in pairs])
        each = [self.of_target(t, *pair) for t, pair in enumerate(pairs)]
        some = known.any() or "bounds" in more
        results = self.of_all(output, target, **more)
        if not some:
            results = dict.fromkeys(results, torch.tensor(math.nan))
        for metric in each[0]:
            values = torch.tensor([float(results_of[metric]) for results_of in each])
            results[metric] = values.nanmean()
            if len(each) > 1:
                for name, value in zip(self.target_names, values, strict=True):
                    results[f"{metric}/{name}"] = value
        return {name: value.float() for name, value in results.items()}

    def check(self, targets: list[Tensor]) -> None:
        """Say what the known values of each target lack, if anything."""

    def loss(self, output: Tensor, target: Tensor, **more: Tensor) -> Tensor:
        """What training minimises, over all known targets alike."""
        raise NotImplementedError

    def of_all(self, output: Tensor, target: Tensor, **more: Tensor) -> dict[str, Tensor]:
        """The metrics of all targets together, :meth:`loss` first."""
        return {"loss": self.loss(output, target, **more)}

    def of_target(self, number: int, output: Tensor, target: Tensor) -> dict[str, Tensor | float]:
        """The metrics of one target, from its known values alone; NaN for what they do not give."""
        raise NotImplementedError

    def _joined(self, name: str) -> Tensor:
        """All that was given, in float64, which some accelerators lack: sums of squares cancel."""
        value = self.kept[name].compute().cpu().double()
        self.kept[name].reset()
        return value.view(-1, *self._shapes[name])  # of a single number torchmetrics makes a scalar
