"""One cell of a comparison: a variant on a replicate of a data set, every trial in turn."""

import contextlib
import fcntl
import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gia_duel.evidence import Evidence
from gia_duel.fairness import check_budget, check_start
from gia_duel.plan import Trial
from gia_duel.runner import said

ERROR = "error.txt"


@dataclass(frozen=True)
class Workshop:
    """Where runs work before they are evidence.

    Args:
        evidence (Evidence): Where their results go.
        scratch (Path): The plan's folder for what is being trained.
        keep (bool): Whether the folder of a finished run, with its checkpoints, stays.
    """

    evidence: Evidence
    scratch: Path
    keep: bool = False

    def run(self, trials: list[Trial]) -> None:
        """Run what is not done yet; a run that fails leaves its reason and does not stop others.

        Args:
            trials (list of Trial): Of one cell.

        Raises:
            KeyboardInterrupt, SystemExit: If the user stops it.
        """
        for trial in trials:
            if self.evidence.find(trial).state == "done":
                continue
            with self._alone(trial) as alone:
                if not alone:
                    print(f"{trial.path}: is being run by another process")
                    continue
                found = self.evidence.find(trial)
                if found.state == "done":  # by a process that was at it until now
                    continue
                again = f"again, since {found.reason}" if found.reason else "starts"
                print(f"{trial.path}: {again}", flush=True)
                try:
                    self._run(trial)
                except Exception as error:
                    path, line = self.folder(trial) / ERROR, _line(said(error))
                    path.write_text(f"{line}\n\n{traceback.format_exc()}", encoding="utf-8")
                    print(f"{trial.path}: FAILED, {line}; see {path}", flush=True)

    def failures(self, trials: list[Trial]) -> dict[Trial, str]:
        """Why trials have failed, the last time that they were run."""
        failed = {}
        for trial in trials:
            path = self.folder(trial) / ERROR
            if path.is_file():
                failed[trial] = path.read_text(encoding="utf-8").partition("\n")[0]
        return failed

    def folder(self, trial: Trial) -> Path:
        """Where a trial works."""
        return self.scratch / trial.path

    def _run(self, trial: Trial) -> None:
        evidence, folder = self.evidence, self.folder(trial)
        dataset = evidence.plan.datasets[trial.dataset]
        # Attempts at another configuration are of no use, and those at this one are gone on with.
        attempts = folder / evidence.digest(trial)
        for path in folder.iterdir():
            if path.is_dir() and path != attempts:
                shutil.rmtree(path)
        (folder / ERROR).unlink(missing_ok=True)
        attempts.mkdir(exist_ok=True)
        start = time.perf_counter()
        result = evidence.runner.run(
            evidence.overrides(trial),
            dataset,
            attempts,
            lambda checked: check_start(evidence, trial, checked),
        )
        check_budget(evidence.plan, trial, result.steps, result.epochs)
        record = evidence.write(trial, result)
        val, test = record["val"][dataset.metric], record["test"].get(dataset.metric)
        print(
            f"{trial.path}: {dataset.metric} {val} on validation, {test} on test, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
        if not self.keep:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def _alone(self, trial: Trial) -> Iterator[bool]:
        """Whether no other process runs the trial; the system lets go of it if this one dies."""
        folder = self.folder(trial)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _line(error: BaseException) -> str:
    text = str(error).strip() or repr(error)
    return f"{type(error).__name__}: {text.splitlines()[0]}"
