"""The test is one of several parts of equal size."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gia.data.splits.parts import PARTS, Split, checked, identical, part_sizes

# As the folds of Matbench v0.1 were drawn.
MATBENCH_FOLDS, MATBENCH_SEED = 5, 18012019


def kfold_split(
    texts: Sequence[str],
    *,
    folds: int,
    fold: int,
    val_fraction: float,
    seed: int,
    val_seed: int | None = None,
    classes: Tensor | None = None,
    class_names: Sequence[str] | None = None,
) -> Split:
    """The test is one of ``folds`` parts of equal size; validation is drawn from the rest.

    Every graph is tested in exactly one fold. Graphs with the same text are kept together, and the
    shares of the classes are kept in all three parts, where classes are given.

    Args:
        texts: of n graphs.
        folds: how many parts there are.
        fold: which of them is the test, from 0.
        val_fraction: share of all graphs for validation.
        seed: of the folds.
        val_seed: of the validation; None takes ``seed``.
        classes: the class of each graph.
        class_names: of the classes, for messages.

    Shapes:
        classes: [n], int64

    Raises:
        ValueError: if an option is out of range, or a class cannot be shared out.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    val_seed = seed if val_seed is None else val_seed
    group = identical(texts)
    firsts = np.unique(group, return_index=True)[1]  # one graph of each text stands for all of it
    part_sizes(len(texts), val_fraction, 1 / folds if folds > 1 else 0.5)
    if not 2 <= folds <= len(firsts):
        raise ValueError(
            f"data.folds must be from 2 to the number of different graphs ({len(firsts)}), "
            f"got {folds}"
        )
    if not 0 <= fold < folds:
        raise ValueError(f"data.fold must be from 0 to {folds - 1} (data.folds - 1), got {fold}")
    labels = np.zeros(len(firsts), int) if classes is None else classes.numpy()[firsts]
    notes = [] if classes is None else _rare_classes(labels, folds, class_names)
    kind = KFold if classes is None else StratifiedKFold
    with warnings.catch_warnings():  # what scikit-learn says of rare classes is in the notes
        warnings.simplefilter("ignore", UserWarning)
        splits = list(kind(folds, shuffle=True, random_state=seed).split(labels, labels))
    rest, test = splits[fold]
    strata = None if classes is None else labels[rest]
    val = _drawn(rest, strata, max(1, round(val_fraction * len(firsts))), val_seed)
    part = torch.zeros(len(firsts), dtype=torch.long)
    part[val], part[test] = PARTS.index("val"), PARTS.index("test")
    return Split(checked(part[group], group), group, notes)


def matbench_split(
    rows: Sequence[int],
    num_rows: int,
    *,
    fold: int,
    val_fraction: float,
    seed: int,
    classes: Tensor | None = None,
    class_names: Sequence[str] | None = None,
) -> Split:
    """The test is one of the five folds that `Matbench <https://doi.org/10.1038/s41524-020-00406-3>`_
    has published for a table in its own order; validation is drawn from the rest.

    Equal compositions may be on both sides, as they are there.

    Args:
        rows: of n graphs, where each stands in the table.
        num_rows: of the table.
        fold: which of the folds is the test, from 0.
        val_fraction: share of all graphs for validation.
        seed: of the validation.
        classes: the class of each graph, whose shares the folds keep.
        class_names: of the classes, for messages.

    Raises:
        ValueError: if there is no such fold, or rows of the table are missing.
    """
    if len(rows) < num_rows:
        raise ValueError(
            f"data.split=matbench needs all rows of the table, and {num_rows - len(rows):,} of "
            f"{num_rows:,} have no graph or no target: use data.split=kfold"
        )
    names = [str(row) for row in rows]
    folds = {"folds": MATBENCH_FOLDS, "fold": fold, "seed": MATBENCH_SEED}
    known = {"classes": classes, "class_names": class_names}
    return kfold_split(names, **folds, **known, val_fraction=val_fraction, val_seed=seed)


def folds_of_training(
    split: Split, *, folds: int, fold: int, seed: int, classes: Tensor | None = None
) -> Split:
    """The training part of a split alone, one of ``folds`` parts of it for validation.

    What validated before is in no part: it may judge a model that is made of all folds. Groups stay
    together, and the shares of the classes are kept, where classes are given.

    Args:
        split: of n items.
        folds: how many parts there are.
        fold: which of them validates, from 0.
        seed: of the folds.
        classes: the class of each item.

    Shapes:
        classes: [n], int64

    Raises:
        ValueError: if there is no such fold, or the training part has fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if folds < 2 or not 0 <= fold < folds:
        raise ValueError(
            f"data.inner_fold must be from 0 to data.inner_folds - 1, and these 2 at least, got "
            f"{fold} of {folds}"
        )

    train = np.array(split.members("train"))
    groups = split.group.numpy()[train]
    number = len(np.unique(groups))
    if number < folds:
        raise ValueError(
            f"the training part has {number} groups of items that stay together, too few for "
            f"{folds} folds of it: give a smaller number, or ensemble_by=seeds"
        )
    labels = np.zeros(len(train), int) if classes is None else classes.numpy()[train]
    if np.unique(labels, return_counts=True)[1].max() < folds:  # none can be shared out
        labels = np.zeros(len(train), int)
    kind = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of rare classes, of which not every fold can have some
        warnings.simplefilter("ignore", UserWarning)
        validates = train[list(kind.split(train, labels, groups))[fold][1]]
    part = torch.where(split.part == PARTS.index("val"), -1, split.part)
    part[validates] = PARTS.index("val")
    return Split(checked(part, split.group), split.group, split.notes)


def _drawn(rest: np.ndarray, strata: np.ndarray | None, number: int, seed: int) -> np.ndarray:
    """Some of the rest for validation, with its shares of the classes."""
    from sklearn.model_selection import train_test_split

    if strata is not None:
        # A class of one graph cannot be shared out: it goes with the most frequent one.
        counts = np.bincount(strata)
        strata = np.where(counts[strata] < 2, counts.argmax(), strata)
        kinds = len(np.unique(strata))
        if min(number, len(rest) - number) < kinds:
            way = "larger" if number < kinds else "smaller"
            raise ValueError(
                f"data.val_fraction puts {number} of {len(rest)} different graphs into validation, "
                f"but it and the training need each of the {kinds} classes: give a {way} "
                "data.val_fraction, or data.split=random"
            )
    return train_test_split(rest, test_size=number, random_state=seed, stratify=strata)[1]


def _rare_classes(labels: np.ndarray, folds: int, class_names: Sequence[str] | None) -> list[str]:
    """What is to be known of classes that have fewer graphs than there are folds.

    Raises:
        ValueError: if all of them have.
    """
    counts = {int(label): int((labels == label).sum()) for label in np.unique(labels)}
    names = {label: class_names[label] if class_names else str(label) for label in counts}
    most = max(counts, key=counts.get)
    if counts[most] < folds:
        way = f"data.folds={counts[most]}, or " if counts[most] > 1 else ""
        raise ValueError(
            f"data.folds={folds} is more than the different graphs of any class, the most are "
            f"{counts[most]} of {names[most]!r}: give {way}data.split=random"
        )
    return [
        f"the class {names[label]!r} has {number} different graphs, fewer than data.folds={folds}: "
        f"{folds - number} of the folds have none of it in the test"
        for label, number in counts.items()
        if number < folds
    ]
