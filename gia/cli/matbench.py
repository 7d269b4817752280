"""``gia matbench``: the predictions of five folds as a record that Matbench's package reads."""

import json
from statistics import fmean

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from gia.cli.command import command

console = Console(markup=False, emoji=False, highlight=False)


@command("matbench")
def matbench(cfg: DictConfig) -> None:
    """Write the record of runs of Matbench's five folds, and say their scores."""
    from gia.analysis import check_out
    from gia.analysis.matbench import matbench_record
    from gia.data.files import write_atomically

    out = check_out(cfg.out)
    runs = [cfg.runs] if isinstance(cfg.runs, str) else list(cfg.runs)
    metadata = {"algorithm": "gia", **OmegaConf.to_container(cfg.metadata)}
    record = matbench_record(runs, cfg.task, metadata)
    with write_atomically(out) as file:
        json.dump(record, file)
    for name, task in record["tasks"].items():
        folds = [fold["scores"] for fold in task["results"].values()]
        table = Table(title=name, title_justify="left")
        for head in ("score", "mean", "fold 0", "1", "2", "3", "4"):
            table.add_column(head, justify="left" if head == "score" else "right")
        for score in folds[0]:
            values = [fold[score] for fold in folds]
            table.add_row(score, *(f"{value:.4g}" for value in (fmean(values), *values)))
        console.print(table)
    console.print(f"  the record is in {out}", soft_wrap=True)
