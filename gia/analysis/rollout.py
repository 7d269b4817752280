"""What a model reads through all of its layers together."""

from collections.abc import Iterable

import numpy as np


def attention_rollout(layers: Iterable[np.ndarray]) -> np.ndarray:
    r"""The effective graph over layers, :math:`\prod_l \frac{1}{2} (\bar A^{(l)} + I)`.

    :math:`\bar A^{(l)}` is the mean over the heads of a layer, rows divided by their sums, and I
    what the residual connection hands on (`Abnar and Zuidema <https://arxiv.org/abs/2005.00928>`_).
    Of signed weights it takes the absolute values; a node that reads nothing hands on what it has.

    Args:
        layers (iterable of ndarray): The weights of each, the first first, ``[H, N, N]``.

    Returns:
        ndarray: ``[N, N]``, each row sums to 1.

    Raises:
        ValueError: If there is no layer.
    """
    effective = None
    for weight in layers:
        mean = np.abs(weight).astype(np.float64).mean(0)
        total = mean.sum(1, keepdims=True)
        identity = np.eye(len(mean))
        mean = np.divide(mean, total, out=identity.copy(), where=total > 0)
        step = (mean + identity) / 2
        effective = step if effective is None else step @ effective
    if effective is None:
        raise ValueError("there is no layer to follow attention through")
    return effective
