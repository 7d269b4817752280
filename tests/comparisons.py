"""Plans and evidence made up for tests."""

from pathlib import Path

from gia_duel import Checked, Evidence, Plan, Result

CONF = Path(__file__).parent / "duel" / "conf"  # of --config-dir: plan=tiny


def make_plan(**changes):
    """Three seeds of one data set and two folds of another; two of ours, two others, a forest."""
    dataset = {"overrides": ["data=x"], "metric": "rmse", "better": "lower", "steps": 100}
    config = {
        "title": "Made up",
        "num_parameters": 1000,
        "trials": [["lr=1"], ["lr=2"]],
        "datasets": {
            "a": {**dataset, "seeds": 3},
            "b": {
                **dataset, "overrides": ["data=y"], "metric": "accuracy", "better": "higher",
                "folds": 2,
            },
        },
        "variants": {
            "gin": {"family": "ours", "overrides": ["attention=gin"]},
            "pna": {"family": "ours", "overrides": ["attention=pna"]},
            "gps": {"family": "baseline", "overrides": ["model=gps"]},
            "gine": {"family": "baseline", "overrides": ["model=gine"]},
            "forest": {
                "family": "reference", "overrides": ["model=forest"], "datasets": ["a"],
                "matched": False,
            },
        },
    }  # fmt: skip
    return Plan.from_config({**config, **changes}, "made_up")


class NoRunner:
    """Trains nothing: what it is asked is answered at once.

    Args:
        sizes (dict): Parameters by the last word of a variant's setting.
        config (str): Stands for the configuration files.
    """

    def __init__(self, sizes=None, config="files"):
        self.sizes, self.config, self.asked = sizes or {}, config, []

    def budget(self, dataset, num_parameters):
        return [f"steps={dataset.steps}"]

    def replicate(self, dataset, number):
        return [f"seed={number}"]

    def settings(self, overrides):
        return [self.config, overrides]

    def check(self, overrides):
        self.asked.append(overrides)
        model = next(o for o in overrides if o.startswith(("attention", "model")))
        return Checked(self.sizes.get(model.partition("=")[2], 1000), f"split {overrides[-1]}")

    def run(self, overrides, dataset, folder, accept):
        accept(self.check(overrides))
        return make_result(0.5, 0.5, steps=dataset.steps, split=f"split {overrides[-1]}")


def make_result(val, test, *, metric="rmse", **changes):
    values = {
        "steps": 100, "epochs": 10.0, "parameters": 1000, "val": {metric: val},
        "test": {metric: test}, "seconds": 2.0, "seconds_per_epoch": 0.2, "split": "one",
        "curve": [(50, 2 * val), (100, val)],
    }  # fmt: skip
    return Result(**{**values, **changes})


def make_evidence(folder, values, plan=None, runner=None):
    """Evidence with the given numbers.

    Args:
        values (dict): ``{(dataset, variant): [value of replicate 0, ...]}``: on validation and on
            test with the first trial, and 0.01 worse with the second.
    """
    plan = plan or make_plan()
    evidence = Evidence(folder, plan, runner or NoRunner())
    for (dataset, variant), numbers in values.items():
        metric = plan.datasets[dataset].metric
        worse = 0.01 if plan.datasets[dataset].better == "lower" else -0.01
        loose = {} if plan.variants[variant].matched else {
            "steps": 0, "epochs": None, "parameters": 0, "seconds_per_epoch": None,
            "curve": [(0, 1.0)],
        }  # fmt: skip
        for replicate, value in enumerate(numbers):
            for trial in plan.cell(dataset, variant, replicate):
                number = value + worse * trial.number
                evidence.write(
                    trial,
                    make_result(number, number, metric=metric, split=f"{replicate}", **loose),
                )
    return evidence
