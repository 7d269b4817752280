"""Pictures of a search."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from gia.analysis.figures import BLUE, GREY, ORANGE
from gia.search.study import DEFAULT, Stored


def trials_figure(trials: Sequence[FrozenTrial], stored: Stored) -> Figure:
    """The value of each trial in turn, and the best so far.

    Args:
        trials (list of FrozenTrial): That have started.
        stored (Stored): Says what the value is.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    numbers, values = [t.number for t in complete], [t.value for t in complete]
    best = list(accumulate(values, lambda *pair: stored.better(pair)))
    axes.step(numbers, best, where="post", color=BLUE, label="best so far")
    axes.plot(numbers, values, "o", color=ORANGE, markersize=4, label="trial")
    default = [trial for trial in complete if DEFAULT in trial.user_attrs]
    if default:
        value = default[0].value
        axes.axhline(value, color=GREY, linestyle="--", linewidth=1, label="settings as they are")
    lowest = axes.get_ylim()[0]
    for state, mark, name in (
        (TrialState.PRUNED, "|", "pruned"),
        (TrialState.FAIL, "x", "failed"),
    ):
        ended = [trial.number for trial in trials if trial.state == state]
        if ended:  # on the axis: their value is no end of a training
            axes.plot(ended, [lowest] * len(ended), mark, color=GREY, label=name, clip_on=False)
    axes.set_ylim(bottom=lowest)
    axes.set(xlabel="trial", ylabel=stored.monitor, title="Trials")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def importance_figure(shares: Mapping[str, float], stored: Stored) -> Figure:
    """How much of the variation of the value each setting explains.

    Args:
        shares (dict): Of each setting, the largest first; together 1.
        stored (Stored): Says what the value is.
    """
    figure = Figure(figsize=(6, 0.8 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    names = list(shares)[::-1]  # the largest on top
    bars = axes.barh(names, [shares[name] for name in names], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel=f"share of the variance of {stored.monitor}", title="Importance (fANOVA)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
