"""How well scores of pairs of nodes tell those that are joined."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

# The share of joined pairs among the L, L/2 and L/5 likeliest of an item of L nodes.
SHARES = {"precision_L": 1, "precision_L2": 2, "precision_L5": 5}
MEASURES = ("auroc", "average_precision", *SHARES)


def agreement(score: np.ndarray, joined: np.ndarray, length: int) -> dict[str, float]:
    """How well scores of pairs tell those that are joined.

    Args:
        score (ndarray): Of each pair, higher where it is likelier joined, ``[P]``.
        joined (ndarray): Whether it is, ``[P]``, bool.
        length (int): L of the precisions, the number of nodes.

    Returns:
        dict: By the names in ``MEASURES`` the area under the ROC curve, the average precision, and
        the precision of the L, L/2 and L/5 highest scores; pairs of one score count in the mean
        over their orders. NaN where no pair is joined, or all are.
    """
    if joined.all() or not joined.any():
        return dict.fromkeys(MEASURES, float("nan"))
    found = {
        "auroc": float(roc_auc_score(joined, score)),
        "average_precision": float(average_precision_score(joined, score)),
    }
    return found | {
        name: precision_at(score, joined, max(1, length // part)) for name, part in SHARES.items()
    }


def precision_at(score: np.ndarray, joined: np.ndarray, number: int) -> float:
    """The share of joined pairs among the ``number`` highest scores, or among all if there are
    fewer; where several tie for the last places, their mean share fills them."""
    number = min(number, len(score))
    last = np.partition(score, -number)[-number]
    above, tied = score > last, score == last
    hits = joined[above].sum() + (number - above.sum()) * joined[tied].mean()
    return float(hits / number)


def chance(joined: np.ndarray) -> dict[str, float]:
    """What scores that are drawn at random come to: 0.5, and the share of joined pairs."""
    if joined.all() or not joined.any():
        return dict.fromkeys(MEASURES, float("nan"))
    return dict.fromkeys(MEASURES, float(joined.mean())) | {"auroc": 0.5}
