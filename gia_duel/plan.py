"""What is compared with what: the variants, the data sets and the budget of a comparison."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

TOLERANCE = 0.01  # by how much the sizes of the variants may differ from what is asked for


@dataclass(frozen=True)
class Dataset:
    """One data set of a plan, with all that is the same for every variant on it.

    Attributes:
        name (str): Its name in the plan.
        overrides (list of str): Settings that choose it.
        metric (str): What is compared, as the task names it: ``rmse``, ``auroc``.
        better (str): ``lower`` or ``higher``.
        steps (int, optional): Optimiser steps of each training, rounded up to whole epochs;
            left out, a training is as long as it is configured.
        seeds (int, optional): Replicates that differ by seed, each with a split of its own.
        folds (int, optional): Or replicates that are the folds of a cross-validation: that of a
            split among the overrides, such as ``data.split=matbench``, or one that is drawn.
        monitor (str, optional): What picks the checkpoint and the trial on validation, and its
            direction, if not the metric: ``loss lower``. Without steps the checkpoint is picked as
            it is configured.
    """

    name: str
    overrides: tuple[str, ...]
    metric: str
    better: str
    steps: int | None = None
    seeds: int | None = None
    folds: int | None = None
    monitor: str | None = None

    def __post_init__(self) -> None:
        where = f"datasets.{self.name}"
        for key, value in (("metric", self.metric), ("monitor", self.monitor)):
            if value is not None and (not isinstance(value, str) or "/" in value):
                raise ValueError(f"{where}.{key} is a name such as rmse, got {value!r}")
        _direction(self.better, f"{where}.better")
        _direction(self.watched[1], f"{where}.monitor ends in lower or higher; it")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"{where}.steps must be at least 1, got {self.steps}")
        if (self.seeds is None) == (self.folds is None):
            raise ValueError(f"{where} needs either seeds or folds")
        if self.replicates < (1 if self.folds is None else 2):
            raise ValueError(f"{where} has too few replicates, got {self.replicates}")

    @property
    def replicates(self) -> int:
        """How often each variant is trained and tested."""
        return self.seeds if self.folds is None else self.folds

    @property
    def watched(self) -> tuple[str, str]:
        """The validation metric that picks checkpoints and trials, and which way it is better."""
        name, _, better = (self.monitor or f"{self.metric} {self.better}").partition(" ")
        return name, better


@dataclass(frozen=True)
class Variant:
    """One side of a plan.

    Attributes:
        name (str): Its name in the plan.
        overrides (list of str): Settings that make it.
        family (str): Whose it is: ``ours``, ``baseline``, or another word.
        datasets (list of str, optional): The only data sets that it is for.
        matched (bool): False if it has no parameters to match and no steps, as a random forest.
        trials (list, optional): Its own trials, as many as those of the others.
        replicates (int, optional): How many it has at most, where the data set has more.
    """

    name: str
    overrides: tuple[str, ...]
    family: str
    datasets: tuple[str, ...] | None = None
    matched: bool = True
    trials: tuple[tuple[str, ...], ...] | None = None
    replicates: int | None = None

    def __post_init__(self) -> None:
        if self.replicates is not None and self.replicates < 1:
            raise ValueError(
                f"variants.{self.name}.replicates must be at least 1, got {self.replicates}"
            )


@dataclass(frozen=True)
class Trial:
    """One training: a variant on a replicate of a data set, with one of the settings tried."""

    dataset: str
    variant: str
    replicate: int
    number: int

    @property
    def path(self) -> str:
        """Where it is kept, relative to the plan's folder, without a suffix."""
        return f"{self.dataset}/{self.variant}/replicate_{self.replicate}_trial_{self.number}"


@dataclass(frozen=True)
class Plan:
    """A comparison: every variant on every replicate of every data set, with every trial.

    Attributes:
        name (str): The plan's own name, that of its file.
        title (str): The report's.
        text (str): What the report says first.
        datasets (dict of Dataset): By name.
        variants (dict of Variant): By name.
        trials (list of list of str): Settings tried for each variant; the best on validation is
            kept, replicate by replicate.
        num_parameters (int, optional): What every matched variant is to have, within 1 %. Left out,
            with the steps of all data sets, every variant is as large and trains as long as it is
            configured.
        duel (pair of str): The families whose picks meet, ours first.
        against (list of str): Variants with which every other one is compared on all data sets.
        overrides (list of str): Settings of every run.

    Raises:
        ValueError: If the plan contradicts itself.
    """

    name: str
    datasets: Mapping[str, Dataset]
    variants: Mapping[str, Variant]
    trials: tuple[tuple[str, ...], ...] = ((),)
    num_parameters: int | None = None
    title: str = "Results"
    text: str = ""
    duel: tuple[str, str] = ("ours", "baseline")
    against: tuple[str, ...] = ()
    overrides: tuple[str, ...] = field(default=())

    @classmethod
    def from_config(cls, config: Mapping[str, Any], name: str) -> "Plan":
        """The plan that a file of ``conf/plan`` describes.

        Args:
            config (dict): Its plain values.
            name (str): Its name.

        Raises:
            ValueError: If the plan contradicts itself.
        """
        values = {key: value for key, value in config.items() if key not in ("run", "report")}
        for kind, key in ((Dataset, "datasets"), (Variant, "variants")):
            members = values.get(key)
            if not isinstance(members, Mapping) or not members:
                raise ValueError(f"the plan {name} has no {key}")
            values[key] = {
                member: _build(kind, {"name": member, **(settings or {})}, f"{key}.{member}")
                for member, settings in members.items()
            }
        return _build(cls, {"name": name, **values}, f"the plan {name}")

    def __post_init__(self) -> None:
        if not self.trials:
            raise ValueError("trials needs at least one list of settings, as in [[]]")
        for variant in self.variants.values():
            unknown = set(variant.datasets or ()) - set(self.datasets)
            if unknown:
                raise ValueError(
                    f"variants.{variant.name}.datasets has {', '.join(sorted(unknown))}, "
                    f"but the plan's are {', '.join(self.datasets)}"
                )
            if variant.trials is not None and len(variant.trials) != len(self.trials):
                raise ValueError(
                    f"variants.{variant.name} has {len(variant.trials)} trials, the others "
                    f"{len(self.trials)}: every variant gets as many"
                )
        families = {variant.family for variant in self.variants.values()}
        absent = [family for family in self.duel if family not in families]
        if len(self.duel) != 2 or absent:
            raise ValueError(
                f"duel names the two families that meet, out of {', '.join(sorted(families))}; "
                f"got {list(self.duel)}"
            )
        unknown = set(self.against) - set(self.variants)
        if unknown:
            raise ValueError(
                f"against has {', '.join(sorted(unknown))}, but the plan's variants are "
                f"{', '.join(self.variants)}"
            )
        self._check_budget()

    def _check_budget(self) -> None:
        """Sizes and steps are equal for all, or each has its own."""
        if not any(variant.matched for variant in self.variants.values()):
            return
        counted = [name for name, dataset in self.datasets.items() if dataset.steps is not None]
        if self.num_parameters is None and counted:
            raise ValueError(
                "num_parameters is missing: the size that every variant is to have; or leave out "
                f"datasets.{counted[0]}.steps and all others, and each has its own size and budget"
            )
        without = [name for name in self.datasets if name not in counted]
        if self.num_parameters is not None and without:
            raise ValueError(
                f"datasets.{without[0]}.steps is missing: how long each of the variants of one "
                "size trains; or leave out num_parameters and all steps"
            )

    @property
    def equal(self) -> bool:
        """Whether the variants have one size and one budget, rather than each its own."""
        return self.num_parameters is not None

    @cached_property
    def most_replicates(self) -> int:
        """Of the data set that has the most."""
        return max(dataset.replicates for dataset in self.datasets.values())

    def replicates(self, dataset: str, variant: str) -> int:
        """How often a variant is trained and tested on a data set."""
        own = self.variants[variant].replicates
        return min(self.datasets[dataset].replicates, math.inf if own is None else own)

    def has(self, dataset: str, variant: str, replicate: int) -> bool:
        """Whether there is such a cell: not every data set has as many replicates."""
        only = self.variants[variant].datasets
        return replicate < self.replicates(dataset, variant) and (only is None or dataset in only)

    def cell(self, dataset: str, variant: str, replicate: int) -> list[Trial]:
        """The trials of one cell, none if there is no such cell.

        Raises:
            ValueError: If there is no such data set or variant, or the replicate is negative.
        """
        for kind, name, known in (
            ("dataset", dataset, self.datasets), ("variant", variant, self.variants),
        ):  # fmt: skip
            if name not in known:
                raise ValueError(f"{kind} must be one of {', '.join(known)}, got {name!r}")
        if not isinstance(replicate, int) or replicate < 0:
            raise ValueError(f"replicate must be a number from 0 on, got {replicate!r}")
        if not self.has(dataset, variant, replicate):
            return []
        return [Trial(dataset, variant, replicate, k) for k in range(len(self.trials))]

    def cells(
        self,
        datasets: Iterable[str] | None = None,
        replicates: Iterable[int] | None = None,
        variants: Iterable[str] | None = None,
    ) -> Iterator[list[Trial]]:
        """The trials of every cell there is, in the order in which they are run; None takes all."""
        chosen = (
            self.datasets if datasets is None else datasets,
            range(self.most_replicates) if replicates is None else replicates,
            self.variants if variants is None else variants,
        )
        for dataset, replicate, variant in itertools.product(*chosen):
            if trials := self.cell(dataset, variant, replicate):
                yield trials

    def settings(self, trial: Trial) -> list[str]:
        """What makes a trial what it is, in the order in which it is applied.

        Not among them: the budget and the replicate, which are said in the runner's own words.
        """
        variant = self.variants[trial.variant]
        tried = self.trials if variant.trials is None else variant.trials
        return [
            *self.datasets[trial.dataset].overrides,
            *self.overrides,
            *variant.overrides,
            *tried[trial.number],
        ]


def _build(kind: type, values: Mapping[str, Any], where: str) -> Any:
    known = [item.name for item in fields(kind)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(f"{where} has {', '.join(unknown)}; known are {', '.join(known[1:])}")
    try:
        return kind(**{key: _frozen(value) for key, value in values.items()})
    except TypeError as error:  # what is missing, in Python's words
        raise ValueError(f"{where}: {str(error).partition('() ')[2] or error}") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _direction(value: Any, where: str) -> None:
    if value not in ("lower", "higher"):
        raise ValueError(f"{where} must be lower or higher, got {value!r}")
