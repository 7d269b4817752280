"""How well attention tells which nodes a given graph joins: bonds, neighbours, contacts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch_geometric.data import Data

from gia.analysis.agreement_measures import MEASURES, agreement, chance
from gia.analysis.pairs import Head, Pairs, far_apart, given_pairs, pairs_of, sequence_distance
from gia.data.progress import progress

FITTED_PAIRS = 20_000  # the most of an item that the regression is fitted on
REGRESSION, RANDOM, HEAD = "regression", "random", "head"
FEW = 20  # items, from which on there is a bar


class Value(NamedTuple):
    """A measure in the mean over items.

    Attributes:
        predictor: ``"head"``, ``"regression"``, ``"random"`` or the name of a simple rule.
        layer, head: of a head, from 1; None of the others.
        separation: the least distance in the sequence of the pairs that it is over.
        measure: one of ``MEASURES``.
        mean: over the items.
        standard_error: of this mean; NaN of a single item.
        items: over how many, those with joined pairs and others among these pairs.
    """

    predictor: str
    layer: int | None
    head: int | None
    separation: int
    measure: str
    mean: float
    standard_error: float
    items: int


@dataclass
class Agreement:
    """What :func:`measure_agreement` has found.

    Attributes:
        values: every measure of every predictor.
        separations: the least distances in the sequence; 0 where nodes have no order.
        rule: the name of the simple rule that attention is compared with.
        best: of each separation the head with the highest AUROC on the items that the regression
            was fitted on.
        fitted, measured: the rows of the items that the regression was fitted on, and of those
            that all values are over.
        left_out: how many items were not looked at, by reason.
        example: of one item, whose AUROC is the median, its place in the list and its pairs.
        probability: what the regression says of these pairs, ``[P]``.
    """

    values: list[Value]
    separations: list[int]
    rule: str
    best: dict[int, Head]
    fitted: list[int]
    measured: list[int]
    left_out: dict[str, int]
    example: tuple[int, Pairs]
    probability: np.ndarray

    def find(
        self, predictor: str, separation: int, measure: str, head: Head = (None, None)
    ) -> Value:
        """One value."""
        key = (predictor, *head, separation, measure)
        return next(value for value in self.values if value[:5] == key)


def measure_agreement(
    items: Sequence[Data],
    draw: Callable[[Data], Sequence[Data | None]],
    *,
    separations: Sequence[int] | None = None,
    fit_items: int = 20,
    seed: int = 0,
) -> Agreement:
    """How well the attention of each head, and a logistic regression over all heads, tells which
    nodes the items' own edges join.

    A head is taken as it is, ``A_ij + A_ji``; the regression reads the same of all heads after the
    average product correction, as `Rao et al. <https://doi.org/10.1101/2020.12.15.422761>`_ have
    it. It is fitted on some items and everything is measured on the others.

    Args:
        items (list of Data): With ``edge_index [2, E]``, and ``seq_pos [N]`` where they are
            sequences.
        draw (callable): From an item to the attention over its nodes in each layer, see
            :func:`~gia.analysis.pairs.pairs_of`.
        separations (list of int, optional): Pairs count that are at least so far apart in the
            sequence; by default 6 and 24, and of items without an order all pairs.
        fit_items (int): How many items the regression is fitted on, half of them at most.
        seed (int): Which these are.

    Raises:
        ValueError: If a setting is out of range, or fewer than two items have pairs that are
            joined and pairs that are not.
    """
    separations = _separations(items, separations)
    if fit_items < 1:
        raise ValueError(f"fit_items must be at least 1, got {fit_items}")
    usable, left_out = _usable(items, separations[0])
    generator = np.random.default_rng(seed)
    order = generator.permutation(usable).tolist()
    number = min(fit_items, len(order) // 2)
    fitted, measured = sorted(order[:number]), sorted(order[number:])
    heads = _Means()
    drawn = (pairs_of(items[place], draw(items[place])) for place in _bar(fitted, "fitting"))
    model = _fit(drawn, separations, generator, heads)
    found, own = _Means(), {}
    rule = "degree" if items[usable[0]].get("seq_pos") is None else "distance"
    for place in _bar(measured, "comparing graphs"):
        pairs = pairs_of(items[place], draw(items[place]))
        probability = model.predict_proba(pairs.corrected)[:, 1]
        simple = pairs.degrees if pairs.distance is None else -pairs.distance
        for separation in separations:
            counts = far_apart(pairs.distance, len(pairs.joined), separation)
            joined = pairs.joined[counts]
            measure = _measurer(joined, pairs.num_nodes)
            found.add_heads(pairs, counts, separation, measure)
            said = measure(probability[counts])
            found.add((REGRESSION, None, None, separation), said)
            found.add((rule, None, None, separation), measure(simple[counts]))
            found.add((RANDOM, None, None, separation), chance(joined))
            if separation == separations[0]:
                own[place] = said["auroc"]
    median = sorted(own, key=own.get)[len(own) // 2]
    pairs = pairs_of(items[median], draw(items[median]))
    return Agreement(
        values=found.values(),
        separations=separations,
        rule=rule,
        best={separation: heads.best(separation) for separation in separations},
        fitted=[int(items[place].get("row", place)) for place in fitted],
        measured=[int(items[place].get("row", place)) for place in measured],
        left_out=left_out,
        example=(median, pairs),
        probability=model.predict_proba(pairs.corrected)[:, 1],
    )


@dataclass
class _Means:
    """Measures of many items, by predictor and separation."""

    of: dict[tuple, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, key: tuple, measures: dict[str, float]) -> None:
        self.of.setdefault(key, []).append(measures)

    def add_heads(
        self, pairs: Pairs, counts: np.ndarray, separation: int, measure: Callable
    ) -> None:
        for (layer, head), weight in zip(pairs.heads, pairs.weights[counts].T, strict=True):
            self.add((HEAD, layer, head, separation), measure(weight))

    def values(self) -> list[Value]:
        found = []
        for key, measures in self.of.items():
            for name in MEASURES:
                known = np.array([each[name] for each in measures])
                known = known[np.isfinite(known)]
                error = known.std(ddof=1) / len(known) ** 0.5 if len(known) > 1 else float("nan")
                mean = known.mean() if len(known) else float("nan")
                found.append(Value(*key, name, float(mean), float(error), len(known)))
        return found

    def best(self, separation: int) -> Head:
        own = [value for value in self.values() if value[3:5] == (separation, "auroc")]
        best = max(own, key=lambda value: np.nan_to_num(value.mean, nan=-1.0))
        return best.layer, best.head


def _measurer(joined: np.ndarray, length: int) -> Callable[[np.ndarray], dict[str, float]]:
    return lambda score: agreement(score, joined, length)


def _fit(
    found: Iterable[Pairs],
    separations: Sequence[int],
    generator: np.random.Generator,
    heads: _Means,
) -> Pipeline:
    """The regression over pairs that are not too near in the sequence; and measures of heads."""
    x, y, weights = [], [], []
    for pairs in found:
        for separation in separations:
            counts = far_apart(pairs.distance, len(pairs.joined), separation)
            heads.add_heads(
                pairs, counts, separation, _measurer(pairs.joined[counts], pairs.num_nodes)
            )
        chosen = np.flatnonzero(far_apart(pairs.distance, len(pairs.joined), separations[0]))
        for answer in (True, False):  # apart, since joined pairs are few
            kind = chosen[pairs.joined[chosen] == answer]
            drawn = kind
            if len(kind) > FITTED_PAIRS // 2:
                drawn = generator.choice(kind, FITTED_PAIRS // 2, replace=False)
            x.append(pairs.corrected[drawn])
            y.append(pairs.joined[drawn])
            weights.append(np.full(len(drawn), len(kind) / max(1, len(drawn))))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    weight = {"logisticregression__sample_weight": np.concatenate(weights)}
    return model.fit(np.concatenate(x), np.concatenate(y), **weight)


def _separations(items: Sequence[Data], separations: Sequence[int] | None) -> list[int]:
    """In ascending order."""
    ordered = bool(items) and items[0].get("seq_pos") is not None
    if separations is None:
        return [6, 24] if ordered else [0]
    if not ordered:
        raise ValueError(
            "separation is a distance in a sequence, but the items have no seq_pos: leave it out"
        )
    wrong = [
        value
        for value in separations
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]
    if wrong or not separations:
        raise ValueError(
            f"separation must be one or several whole numbers from 1, got {separations}"
        )
    return sorted(set(separations))


def _usable(items: Sequence[Data], separation: int) -> tuple[list[int], dict[str, int]]:
    """The items with something to tell apart, and why the others have nothing."""
    usable: list[int] = []
    left_out: dict[str, int] = {}
    seen: set[str] = set()
    far = f" at least {separation} apart" if separation else ""
    for place, data in enumerate(items):
        joined = given_pairs(data)
        joined = joined[far_apart(sequence_distance(data), len(joined), separation)]
        reason = None
        text = data.get("text")
        if data.num_nodes < 2:
            reason = "of one node"
        elif text and text in seen:  # else the regression may know what it is measured on
            reason = "that another one equals (chains of one sequence, one SMILES)"
        elif not joined.any():
            reason = f"with no pair{far} that is joined"
        elif joined.all():
            reason = f"with no pair{far} that is not joined"
        if reason is None:
            usable.append(place)
            seen.add(text)
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    if len(usable) < 2:
        told = "; ".join(f"{number:,} {reason}" for reason, number in left_out.items())
        raise ValueError(
            "two items at least must have pairs that their edges join and pairs that they do not: "
            f"of {len(items):,} there are {len(usable)}" + (f" ({told})" if told else "")
        )
    return usable, left_out


def _bar(places: Sequence[int], description: str) -> Sequence[int]:
    return progress(places, len(places), description, many=FEW)
