"""What is kept of a search: trials in a database of Optuna's, what was asked for beside it."""

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
import yaml
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from gia.data.files import write_atomically

# What is noted of a trial beside what Optuna does.
DEFAULT, AGAIN, REASON = "default", "again", "reason"
SECONDS, PARAMETERS = "seconds", "parameters"


@dataclass(frozen=True)
class Stored:
    """What a search was asked for, ``search.yaml`` in its folder.

    Attributes:
        arguments (list of str): Of the command line that began it.
        space (list of str): What is varied, ``KEY=SWEEP``.
        monitor (str): The metric of validation by which trials are compared.
        mode (str): ``min`` or ``max``.
        split (str): The fingerprint of the split, so that all trials have the same.
    """

    arguments: list[str]
    space: list[str]
    monitor: str
    mode: str
    split: str

    @classmethod
    def read(cls, folder: Path) -> "Stored":
        """What a folder holds.

        Raises:
            FileNotFoundError, ValueError: If that is no search, or not a whole one.
        """
        path = folder / "search.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"resume={folder} holds no search: name the folder with its search.yaml"
            )
        try:
            return cls(**yaml.safe_load(path.read_text(encoding="utf-8")))
        except (TypeError, yaml.YAMLError) as error:
            raise ValueError(f"{path} is not what gia search wrote") from error

    def better(self, values: Sequence[float]) -> float:
        """The better or the best of several values."""
        return min(values) if self.mode == "min" else max(values)

    def write(self, folder: Path) -> None:
        """Write it into the folder of the search."""
        with write_atomically(folder / "search.yaml") as file:
            yaml.safe_dump(asdict(self), file, allow_unicode=True, sort_keys=False)


def open_study(folder: Path, mode: str) -> optuna.Study:
    """The study of a folder, in SQLite, which a kill at any moment leaves whole.

    Args:
        folder (Path): Where ``study.db`` is, or is to be.
        mode (str): ``min`` or ``max``.

    Raises:
        ValueError: If the file is no study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = (folder / "study.db").absolute()
    # Not by an address, in which a folder's name would have to be quoted.
    engine = {"creator": lambda: sqlite3.connect(path, timeout=60)}
    try:
        storage = RDBStorage("sqlite:///study.db", engine_kwargs=engine)
        return optuna.create_study(
            storage=storage,
            study_name="search",
            direction=f"{mode}imize",
            load_if_exists=True,
        )
    except Exception as error:  # SQLAlchemy's own, of many kinds
        raise ValueError(f"{path} is not a study that can be read: {error}") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others out of the folder; the system lets go of it if this process dies.

    Raises:
        ValueError: If another process is at it.
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is being searched by another process: wait for its end, or stop it; "
                "jobs=2 runs two trials at a time"
            ) from error
        yield


def current(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Without those that were cut off and have been enqueued again."""
    again = {trial.user_attrs.get(AGAIN) for trial in trials}
    return [trial for trial in trials if trial.number not in again]


def done(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials with a value, ended early or failed."""
    return [trial for trial in current(trials) if trial.state.is_finished()]


def enqueue_interrupted(study: optuna.Study) -> int:
    """Enqueue again what was running when the search was killed.

    Returns:
        The number of such trials.
    """
    trials = study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    for trial in running:
        if trial in current(trials):  # or killed right here, the last time
            kept = {key: trial.user_attrs[key] for key in (DEFAULT,) if key in trial.user_attrs}
            study.enqueue_trial(trial.params, user_attrs=kept | {AGAIN: trial.number})
        study.tell(trial.number, state=TrialState.FAIL)
    return len(running)
