"""What all losses share: which targets count, and how much."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gia.tasks.scaler import TargetScaler


class Loss(nn.Module):
    r"""A term for each target, and their weighted mean over those that are known.

    .. math::
        L = \frac{1}{n} \sum_{r, t} w_{rt} \, \ell(\mathbf{o}_{rt}, z_{rt})

    over the n known targets; 0, with a gradient of 0, where there is none. A new loss gives
    :meth:`terms` and a ``name``.

    Shapes:
        - **output:** ``[R, T, K]``, K numbers of each of T targets of R graphs or nodes
        - **target:** ``[R, T]``; NaN where missing
        - **weight:** ``[R, T]``, or what can be broadcast to it
        - **bounds:** ``[R, T, 2]``, lower and upper bound of a target that is known by these alone;
          infinite where there is none
        - **result:** ``[]``
    """

    name = "loss"  # and its unit, in pictures
    objective: ClassVar[Mapping[str, Any]] = {}  # what LightGBM calls it, if it knows it

    def terms(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each target, ``[R, T]``.

        Shapes:
            - **output:** ``[R, T, K]``
            - **target:** ``[R, T, 1]``, or ``[R, T, K]``, one beside each number; without NaN
        """
        raise NotImplementedError

    def bounded_terms(self, output: Tensor, bounds: Tensor) -> Tensor:
        """The loss of each target that is known by its bounds, 0 for the others, ``[R, T]``."""
        raise ValueError(f"{type(self).__name__} is no loss of bounds")

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        bounds: Tensor | None = None,
    ) -> Tensor:
        if output.shape[:-1] != target.shape:  # they would be broadcast
            found = list(output.shape[:-1])
            raise ValueError(f"there are {found} outputs for {list(target.shape)} targets")
        known = ~target.isnan()
        # Without multiplying by the mask: NaN * 0 is NaN.
        terms = self.terms(output, target.masked_fill(~known, 0)[..., None])
        terms = terms.masked_fill(~known, 0)
        number = known.sum()
        if bounds is not None:
            terms = terms + self.bounded_terms(output, bounds)
            number = number + bounds.isfinite().any(-1).sum()
        if weight is not None:
            terms = terms * weight
        return terms.sum() / number.clamp(min=1)


class NumberLoss(Loss):
    """A loss of numbers, in standard deviations of the training targets.

    A new one gives :meth:`terms`. Where a model gives more than one number for a target it also
    says how many (:attr:`channels`), what they are (:meth:`activate`, :meth:`inverse`) and what of
    them is predicted; all of these but :meth:`activate` are the same in either unit.
    """

    channels = 1  # K, the numbers that a model gives for one target
    gives_std = False  # whether :meth:`std` is one
    constant_name = "mean of training"  # what :meth:`constant` is

    def activate(self, raw: Tensor) -> Tensor:
        """From what a model gives to the numbers, ``[R, T, K]`` both; such as a positive spread."""
        return raw

    def inverse(self, output: Tensor, scaler: TargetScaler) -> Tensor:
        """The numbers in physical units, ``[R, T, K]`` both."""
        return torch.stack([scaler.inverse(channel) for channel in output.unbind(-1)], -1)

    def predicted(self, output: Tensor) -> Tensor:
        """The prediction, ``[R, T]``."""
        return output[..., 0]

    def std(self, output: Tensor) -> Tensor | None:
        """The standard deviation of the prediction, ``[R, T]``; None if the model gives none."""
        return None

    def within(self, output: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """The numbers, where the prediction is held between two, ``[T]`` each."""
        return output.clamp(lower[:, None], upper[:, None])

    def combine(self, outputs: Tensor) -> Tensor:
        """What M members of an ensemble say together: ``[M, R, T, K]`` to ``[R, T, K]``."""
        return outputs.mean(0)

    def interval(self, output: Tensor) -> tuple[Tensor, Tensor] | None:
        """Between which numbers the target lies, ``[R, T]`` both; None if the model gives none."""
        return None

    def constant(self, target: Tensor) -> Tensor:
        """What who looks at no graph would give for targets ``[R, T]``, NaN where missing:
        ``[T, K]``."""
        return target.nanmean(0).nan_to_num()[:, None]

    def bounded_terms(self, output: Tensor, bounds: Tensor) -> Tensor:
        """The loss against the nearest number that is allowed: none within the bounds."""
        lower, upper = bounds.unsqueeze(-1).unbind(-2)  # [R, T, 1]
        return self.terms(output, output.detach().clamp(lower, upper))
