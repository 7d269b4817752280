"""Runs that leave the rails."""

from collections.abc import Mapping, Sequence

TIMES = 10  # the lowest loss: overfitting alone, which a curve shows, stays below


def explosion_of(epochs: Sequence[Mapping[str, float]]) -> str | None:
    """What to say of a run whose validation ended far above where it began and where it has been.

    Args:
        epochs (list of dict): Of each epoch its number as ``epoch``, and its ``val/loss``.

    Returns:
        One line with the epochs; None if there is nothing to say.
    """
    validated = [row for row in epochs if "val/loss" in row]
    if not validated:
        return None
    best = min(validated, key=lambda row: row["val/loss"])
    first, last = validated[0], validated[-1]
    lowest, end = best["val/loss"], last["val/loss"]
    if end <= first["val/loss"] or end <= TIMES * abs(lowest):
        return None
    return (
        f"val/loss rose from {lowest:.4g} in epoch {best['epoch']:.0f} to {end:.4g} in epoch "
        f"{last['epoch']:.0f}, and the best model is tested: a lower optimizer.lr or "
        "trainer.gradient_clip_val may keep it down"
    )
