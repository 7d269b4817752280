"""What the finished runs say: one row for each variant on each data set, choices on validation."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean, median
from typing import Any

from gia_duel.evidence import Evidence, Found
from gia_duel.fairness import check_records
from gia_duel.plan import Dataset, Plan, Trial
from gia_duel.statistics import Difference, Sample, paired


@dataclass(frozen=True)
class Row:
    """A variant on a data set.

    Attributes:
        variant, family (str): Whose it is.
        chosen (dict): By replicate, the trial that was best on validation and its record; a
            replicate of which a trial is missing is not in it.
        replicates (int): How many there are to be.
        metric (str): What is compared.
    """

    variant: str
    family: str
    chosen: Mapping[int, tuple[Trial, Mapping[str, Any]]]
    replicates: int
    metric: str

    def values(self, part: str) -> dict[int, float]:
        """The metric on ``val`` or ``test`` by replicate."""
        return {r: record[part][self.metric] for r, (_, record) in self.chosen.items()}

    def reliability(self, when: str, name: str) -> list[float]:
        """A metric of reliability on test, ``before`` or ``after`` calibration, where known."""
        records = (record.get("reliability", {}) for _, record in self.chosen.values())
        values = (record.get(when, {}).get(name) for record in records)
        return [value for value in values if value is not None]

    @property
    def missing(self) -> list[int]:
        """Replicates that are not there."""
        return [r for r in range(self.replicates) if r not in self.chosen]

    @property
    def parameters(self) -> int:
        """Of the first replicate; all are within 1 %."""
        return next(record["parameters"] for _, record in self.chosen.values())

    @property
    def seconds_per_epoch(self) -> float | None:
        """The median over replicates."""
        known = [record["seconds_per_epoch"] for _, record in self.chosen.values()]
        return median(known) if known and None not in known else None

    @property
    def seconds(self) -> float | None:
        """Of a whole training, the median over replicates."""
        known = [record["seconds"] for _, record in self.chosen.values()]
        return median(known) if known else None


@dataclass(frozen=True)
class Table:
    """All rows of a data set.

    Attributes:
        dataset (Dataset): Which.
        rows (dict of Row): By variant, in the plan's order.
        duel (pair of str): The families whose picks meet.
    """

    dataset: Dataset
    rows: Mapping[str, Row]
    duel: tuple[str, str]

    def pick(self, family: str) -> Row | None:
        """A family's best on validation, by the mean over the replicates that all of its variants
        have; test is not looked at.

        None if the family has no variant here or one of them is not complete.
        """
        rows = [row for row in self.rows.values() if row.family == family]
        if not rows or any(row.missing for row in rows):
            return None
        common = set.intersection(*(set(row.chosen) for row in rows))
        best = min if self.dataset.better == "lower" else max
        return best(rows, key=lambda row: mean(row.values("val")[r] for r in common))

    def difference(self, ours: Row | None, theirs: Row | None) -> Difference | None:
        """How much better ours is on test; None unless both are complete."""
        if ours is None or theirs is None or ours.missing or theirs.missing:
            return None
        return self.shared(ours, theirs)

    def shared(self, ours: Row | None, theirs: Row | None) -> Difference | None:
        """The same on the replicates that both have; None if they have none in common."""
        if ours is None or theirs is None or not ours.chosen.keys() & theirs.chosen.keys():
            return None
        return paired(ours.values("test"), theirs.values("test"), self.dataset.better)

    @cached_property
    def outcome(self) -> Difference | None:
        """Of the two families' picks."""
        return self.difference(*map(self.pick, self.duel))

    @property
    def ahead(self) -> str | None:
        """The one variant that is ahead of every other by more than a standard error, if any."""
        if len(self.rows) < 2 or any(row.missing for row in self.rows.values()):
            return None
        means = {name: Sample.of([*row.values("test").values()]).mean for name, row in
                 self.rows.items()}  # fmt: skip
        best = (min if self.dataset.better == "lower" else max)(means, key=means.get)
        others = (row for name, row in self.rows.items() if name != best)
        alone = all(self.difference(self.rows[best], row).verdict == "win" for row in others)
        return best if alone else None


@dataclass(frozen=True)
class Results:
    """All that there is of a plan.

    Attributes:
        plan (Plan): The plan.
        tables (dict of Table): By data set.
        found (dict of Found): By trial, also those that are not done.
    """

    plan: Plan
    tables: Mapping[str, Table]
    found: Mapping[Trial, Found] = field(repr=False)

    @property
    def done(self) -> int:
        """How many runs are there."""
        return sum(found.state == "done" for found in self.found.values())

    @property
    def tally(self) -> str:
        """How often the first family's pick won, tied and lost against the second's."""
        verdicts = Counter(
            table.outcome.verdict if table.outcome else "incomplete"
            for table in self.tables.values()
        )
        forms = {"win": "wins", "tie": "ties", "loss": "losses"}
        said = [f"{verdicts[one]} {one if verdicts[one] == 1 else forms[one]}" for one in forms]
        said += [f"{verdicts[w]} {w}" for w in ("undecided", "incomplete") if verdicts[w]]
        return ", ".join(said)

    @classmethod
    def of(cls, evidence: Evidence) -> "Results":
        """Read all evidence of a plan.

        Raises:
            UnfairError: If finished runs are not on equal terms.
        """
        plan = evidence.plan
        cells = list(plan.cells())
        found = {trial: evidence.find(trial) for cell in cells for trial in cell}
        records = {t: item.record for t, item in found.items() if item.state == "done"}
        check_records(plan, records)
        chosen: dict[tuple[str, str], dict[int, Any]] = {}
        for cell in cells:
            replicates = chosen.setdefault((cell[0].dataset, cell[0].variant), {})
            if all(trial in records for trial in cell):
                dataset = plan.datasets[cell[0].dataset]
                best = choose({trial: records[trial] for trial in cell}, dataset)
                replicates[best.replicate] = (best, records[best])
        tables = {}
        for name, dataset in plan.datasets.items():
            rows = {
                variant.name: Row(
                    variant.name, variant.family, chosen[name, variant.name],
                    plan.replicates(name, variant.name), dataset.metric,
                )
                for variant in plan.variants.values()
                if (name, variant.name) in chosen
            }  # fmt: skip
            tables[name] = Table(dataset, rows, plan.duel)
        return cls(plan, tables, found)


def choose(records: Mapping[Trial, Mapping[str, Any]], dataset: Dataset) -> Trial:
    """The trial that is best on the validation of its replicate; of equal ones the first."""
    metric, better = dataset.watched
    best = min if better == "lower" else max
    return best(records, key=lambda trial: records[trial]["val"][metric])
