"""What makes a comparison fair, enforced: equal sizes, steps, batches and splits."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hydra.errors import InstantiationException

from gia_duel.evidence import Evidence
from gia_duel.plan import TOLERANCE, Plan, Trial
from gia_duel.runner import Checked, said


class UnfairError(ValueError):
    """The variants of a plan are not on equal terms."""


class Built(NamedTuple):
    """What came of building every model.

    Attributes:
        sizes (dict): Parameters by data set and variant, of those that have any.
        absent (dict): Why a variant cannot be run on a data set here, by both: it needs what is not
            installed.
    """

    sizes: dict[str, dict[str, int]]
    absent: dict[tuple[str, str], str]


def check_size(plan: Plan, trial: Trial, parameters: int) -> None:
    """Whether a variant is as large as the plan says.

    Raises:
        UnfairError: If a matched variant is more than 1 % off.
    """
    wanted = plan.num_parameters
    if wanted is None or not plan.variants[trial.variant].matched:
        return
    if abs(parameters - wanted) > TOLERANCE * wanted:
        raise UnfairError(
            f"{trial.variant} has {parameters:,} parameters on {trial.dataset}, which is not "
            f"within {TOLERANCE:.0%} of num_parameters={wanted:,}: change its width or depth, or "
            "num_parameters, or declare matched: false if there is nothing to match"
        )


def check_budget(plan: Plan, trial: Trial, steps: int, epochs: float | None) -> None:
    """Whether a run took the steps of its budget, rounded up to whole epochs.

    Raises:
        UnfairError: If it took others.
    """
    budget = plan.datasets[trial.dataset].steps
    if budget is None or not plan.variants[trial.variant].matched:
        return
    if not (epochs and budget <= steps < budget + steps / epochs):
        raise UnfairError(
            f"{trial.path} took {steps} steps in {epochs} epochs instead of {budget} steps, "
            "rounded up to whole epochs: what it sets itself in steps, trainer or data is not "
            "the plan's"
        )


def check_models(evidence: Evidence, trials: Iterable[Trial]) -> Built:
    """Build every model that is to be trained, before anything is trained.

    One replicate of each data set is looked at, the first among the trials: the others are when
    their turn comes.

    Args:
        evidence (Evidence): The plan, its runner, and what is done already.
        trials (list of Trial): What is to be trained.

    Raises:
        UnfairError: If a size or a split is not that of the others.
        ValueError: If a model or its data cannot be built.
    """
    plan, built = evidence.plan, Built({}, {})
    first: dict[tuple[str, str, int], Trial] = {}
    for trial in trials:
        first.setdefault((trial.dataset, trial.variant, trial.number), trial)
    splits: dict[tuple[str, int], tuple[str, Trial]] = {}
    problems = []
    for trial in first.values():
        try:
            checked = evidence.runner.check(evidence.overrides(trial))
            check_size(plan, trial, checked.parameters)
        except UnfairError as error:
            problems.append(str(error))
            continue
        except ValueError as error:
            problems.append(f"{trial.variant} on {trial.dataset}: {error}")
            continue
        except (ImportError, InstantiationException) as error:
            if not isinstance(said(error), ImportError):
                raise
            built.absent[trial.dataset, trial.variant] = str(said(error))
            continue
        if checked.parameters:
            built.sizes.setdefault(trial.dataset, {})[trial.variant] = checked.parameters
        split, other = splits.setdefault((trial.dataset, trial.replicate), (checked.split, trial))
        if split != checked.split:
            problems.append(_another_split(trial, checked.split, other.variant, split))
    if problems:
        raise UnfairError("\n".join(dict.fromkeys(problems)))
    return built


def check_start(evidence: Evidence, trial: Trial, checked: Checked) -> None:
    """Whether a run that is about to train is on equal terms with those that are done.

    Raises:
        UnfairError: If its size or its split is another one.
    """
    check_size(evidence.plan, trial, checked.parameters)
    for other in _beside(evidence.plan, trial):
        record = evidence.read(other).record if other != trial else None
        if record is not None and record["split"] != checked.split:
            raise UnfairError(
                _another_split(trial, checked.split, other.variant, record["split"])
                + f"; if the data has changed, delete {evidence.folder / trial.dataset}"
            )


def check_records(plan: Plan, records: Mapping[Trial, Mapping[str, Any]]) -> None:
    """Whether all finished runs are on equal terms.

    Raises:
        UnfairError: Naming the first two that are not.
    """
    seen: dict[tuple[Any, ...], tuple[Any, Trial]] = {}

    def same(what: str, value: Any, trial: Trial, *key: Any) -> None:
        first, other = seen.setdefault((what, *key), (value, trial))
        if first != value:
            raise UnfairError(
                f"{trial.path} has another {what}, {value}, than {other.path}, {first}: they "
                "cannot be compared; delete the file of the one that is wrong"
            )

    for trial, record in records.items():
        same("split", record["split"], trial, trial.dataset, trial.replicate)
        if not (plan.equal and plan.variants[trial.variant].matched):
            continue
        check_size(plan, trial, record["parameters"])
        check_budget(plan, trial, record["steps"], record["epochs"])
        for what in ("steps", "epochs"):  # both are equal only if the batches are
            same(f"number of {what}", record[what], trial, trial.dataset, trial.replicate)


def _beside(plan: Plan, trial: Trial) -> list[Trial]:
    """All trials on the same replicate of the same data set."""
    cells = plan.cells([trial.dataset], [trial.replicate])
    return [other for cell in cells for other in cell]


def _another_split(trial: Trial, split: str, other: str, theirs: str) -> str:
    return (
        f"{trial.variant} splits replicate {trial.replicate} of {trial.dataset} otherwise "
        f"({split}) than {other} ({theirs}): all variants need one split"
    )
