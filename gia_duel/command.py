"""The command ``gia duel``: a Hydra multirun over data sets, replicates and variants.

Hydra makes one job of each combination, and calls :class:`Sweep` before the first and after the
last: there the plan is checked, and there the report is written. Combinations that there are not,
a seventh fold of three seeds, are jobs that have nothing to do.
"""

import contextlib
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gia.cli.errors import wants_traceback
from gia.training.quiet import quiet
from gia_duel.cell import Workshop
from gia_duel.evidence import Evidence
from gia_duel.fairness import check_models
from gia_duel.plan import Plan, Trial
from gia_duel.report import write_report
from gia_duel.results import Results
from gia_duel.runner import said

AXES = ("dataset", "replicate", "variant")  # in the order in which they vary, the last one fastest


def _names(members: Mapping[str, Any]) -> str:
    """Everything in a group of the plan, as Hydra's sweeper wants it."""
    return ",".join(members)


def _numbers(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """The replicates of the data set that has the most."""
    most = max((d.get("seeds") or d.get("folds") or 1 for d in datasets.values()), default=1)
    return f"range(0,{most})"


OmegaConf.register_new_resolver("duel_names", _names, replace=True)
OmegaConf.register_new_resolver("duel_replicates", _numbers, replace=True)


@hydra.main(version_base="1.3", config_path="pkg://gia.conf", config_name="duel")
def duel(cfg: DictConfig) -> None:
    """One cell: every trial of a variant on a replicate of a data set."""
    quiet()
    name = HydraConfig.get().runtime.choices.plan
    try:
        workshop = workshop_of(cfg, name)
        trials = workshop.evidence.plan.cell(cfg.dataset, cfg.variant, cfg.replicate)
        workshop.run(trials)
    except (KeyboardInterrupt, SystemExit):  # the second is Lightning's answer to Ctrl-C
        print(f"gia: interrupted; `gia duel plan={name}` goes on from here", file=sys.stderr)
        sys.exit(130)


class Sweep(Callback):
    """What happens before the first cell and after the last."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the plan, build every model that is to be trained, say what is to be done.

        Raises:
            SystemExit: If the plan is refused, or if only the report was asked for.
        """
        quiet()
        with _told():
            workshop = workshop_of(config, config.hydra.runtime.choices.plan)
            evidence = workshop.evidence
            trials = chosen(config, evidence.plan)
            todo = [trial for trial in trials if evidence.find(trial).state != "done"]
            if not config.report_only:
                _describe(evidence, trials, todo)
            if config.report_only or not todo:
                _report(config, evidence)
                sys.exit(0)
            built = check_models(evidence, todo)
            for dataset, sizes in built.sizes.items():
                listed = ", ".join(f"{variant} {size:,}" for variant, size in sizes.items())
                print(f"  parameters on {dataset}: {listed}", flush=True)
            _narrow(config, _without(todo, built.absent))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the report, and name the runs that have failed.

        Raises:
            SystemExit: If there are any.
        """
        with _told():
            workshop = workshop_of(config, config.hydra.runtime.choices.plan)
            _report(config, workshop.evidence)
            failures = workshop.failures(chosen(config, workshop.evidence.plan))
            if failures:
                lines = (f"  {trial.path}: {reason}" for trial, reason in failures.items())
                sys.exit("\n".join([f"gia: {len(failures)} runs failed", *lines]))


def workshop_of(cfg: DictConfig, name: str) -> Workshop:
    """All that ``conf/duel.yaml`` describes.

    Args:
        cfg (DictConfig): The configuration.
        name (str): The plan's name.

    Raises:
        ValueError: If the plan contradicts itself.
    """
    plan = Plan.from_config(OmegaConf.to_container(cfg.plan, resolve=True), name)
    if cfg.changed not in ("repeat", "keep"):
        raise ValueError(f"changed must be repeat or keep, got {cfg.changed!r}")
    folder = Path(cfg.evidence) / name
    # A report alone says what there is, and how much of it has been made before a change.
    keep_changed = cfg.report_only or cfg.changed == "keep"
    evidence = Evidence(folder, plan, instantiate(cfg.plan.run), keep_changed)
    return Workshop(evidence, Path(cfg.scratch) / name, cfg.keep)


def chosen(config: DictConfig, plan: Plan) -> list[Trial]:
    """The trials that the command line has chosen.

    Raises:
        ValueError: If it names what the plan has not.
    """
    axes: dict[str, list[Any]] = {}
    for override in OverridesParser.create().parse_overrides([*config.hydra.overrides.task]):
        if override.key_or_group in AXES:
            sweep = override.is_sweep_override()
            values = override.sweep_iterator() if sweep else [override.value()]
            axes[f"{override.key_or_group}s"] = list(values)
    return [trial for cell in plan.cells(**axes) for trial in cell]


def _describe(evidence: Evidence, trials: list[Trial], todo: list[Trial]) -> None:
    plan = evidence.plan
    print(f"{plan.title}: {len(trials)} runs, {len(todo)} to do")
    if not todo:
        return
    terms = "a size and a budget of its own; the same splits"
    if plan.equal:
        terms = (
            f"parameters within 1 % of {plan.num_parameters}; the same steps, batches and splits"
        )
    print(f"  every variant: {len(plan.trials)} trials, chosen on validation; {terms}")
    for name, dataset in plan.datasets.items():
        replicates = f"{dataset.replicates} {'seeds' if dataset.folds is None else 'folds'}"
        count = Counter(trial.dataset for trial in todo)[name]
        if count:
            steps = "" if dataset.steps is None else f"{dataset.steps:,} steps, "
            print(f"  {name}: {steps}{replicates}, {count} runs to do")


def _without(todo: list[Trial], absent: Mapping[tuple[str, str], str]) -> list[Trial]:
    """What can be run here; what needs something that is not installed is told once.

    Raises:
        ImportError: If nothing can be run.
    """
    reasons = {(variant, reason): None for (_, variant), reason in absent.items()}
    left = [trial for trial in todo if (trial.dataset, trial.variant) not in absent]
    if not left:
        raise ImportError("; ".join(dict.fromkeys(reason for _, reason in reasons)))
    for variant, reason in reasons:
        print(f"  {variant} is left out: {reason}", flush=True)
    return left


def _narrow(config: DictConfig, todo: list[Trial]) -> None:
    """Leave out what is finished: composing a job takes a while, and there may be hundreds."""
    params = config.hydra.sweeper.params
    for axis in AXES:
        left = dict.fromkeys(str(getattr(trial, axis)) for trial in todo)
        params[axis] = ",".join(left)  # what the command line says goes before


def _report(config: DictConfig, evidence: Evidence) -> None:
    results = Results.of(evidence)
    path = Path(config.report)
    write_report(results, path, path.parent / "images" / path.stem)
    ours, theirs = evidence.plan.duel
    print(f"{path}: {results.done} of {len(results.found)} runs are there")
    print(f"  {ours} against {theirs}: {results.tally}", flush=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """End on an error: Hydra would make a warning of it, and train what has not been checked."""
    try:
        yield
    except KeyboardInterrupt:
        print("gia: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        cause = said(error)
        expected = isinstance(cause, ValueError | OSError | ImportError | HydraException)
        if not expected or wants_traceback():
            traceback.print_exc()
        sys.exit(f"gia: {cause}")
