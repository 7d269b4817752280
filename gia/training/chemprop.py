"""The story of a run whose model is trained and asked by chemprop's own command."""

import os
import shutil
import subprocess
from pathlib import Path

from gia.data.chemprop import (
    MOLECULES,
    SMILES,
    SPLITS,
    TABLE,
    WEIGHT,
    read_predictions,
    target_columns,
    write_for_chemprop,
)
from gia.training.fitted import FittedRun

LOG, MODELS, PREDICTIONS = "log.txt", "models", "predictions.csv"


class ChempropRun(FittedRun):
    """A run of :class:`gia.nn.Chemprop`: ``chemprop train`` and ``chemprop predict`` on our split.

    The files that it is given, its log and its models are in ``chemprop/`` of the run's folder.
    An interrupted run begins again: chemprop does not go on from a checkpoint.
    """

    def fit_model(self) -> None:
        """Train chemprop, and keep what it predicts of all molecules.

        Raises:
            ValueError: If the data is not for chemprop, or its command fails.
        """
        model, folder = self.task.model, self.folder / "chemprop"
        self.task.limits = None  # what it says is left as it is
        rows = write_for_chemprop(self.datamodule, folder)
        shutil.rmtree(folder / MODELS, ignore_errors=True)
        featurizers = ["--molecule-featurizers", *model.featurizers] if model.featurizers else []
        weighted = self.datamodule.weight_column is not None
        version = run_program([model.command, "--version"], folder)
        model.versions = {"chemprop": version.split()[-1]} if version.split() else {}
        run_program(
            [
                *(model.command, "train", "-i", TABLE, "-s", SMILES),
                *("--target-columns", *target_columns(model.num_targets)),
                *("-t", "classification" if model.classifies else "regression"),
                *("--splits-file", SPLITS, "-o", MODELS),
                *("--pytorch-seed", str(model.seed), "--data-seed", str(model.seed)),
                *(("--weight-column", WEIGHT) if weighted else ()),
                *featurizers,
                *model.arguments,
            ],
            folder,
        )
        run_program(
            [
                *(model.command, "predict", "-i", MOLECULES, "-s", SMILES),
                *("--model-paths", MODELS, "-o", PREDICTIONS),
                *featurizers,
            ],
            folder,
        )
        model.take(rows, read_predictions(folder / PREDICTIONS, folder, model.num_targets))


def run_program(arguments: list[str], folder: Path) -> str:
    """Run a program of another environment in a folder, and add what it says to its ``log.txt``.

    Returns:
        What it said.

    Raises:
        ValueError: If it fails, with its last line.
    """
    # Modules of this environment are not for it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    log = folder / LOG
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(arguments)}\n{done.stdout}\n")
    if done.returncode:
        lines = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"chemprop {arguments[1]} has failed, see {log}: {lines[-1].strip()}")
    return done.stdout
