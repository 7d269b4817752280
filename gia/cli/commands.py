"""The commands, each one function of its configuration."""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, open_dict
from rich.console import Console

from gia.cli.command import command, whole_line
from gia.cli.items import check_apart

# Names of columns, classes and folders are printed as they are: [nM] is no style, :x: no picture.
console = Console(markup=False, emoji=False, highlight=False)


@command("train")
def train(cfg: DictConfig) -> None:
    """Train, test, and leave a folder worth opening."""
    from gia.analysis import describe_data
    from gia.nn import count_parameters
    from gia.training import run_of
    from gia.training.processes import check_folder, is_first_process

    with open_dict(cfg):  # where Hydra put this job, alone or in a multirun
        folder = HydraConfig.get().runtime.output_dir
        moved = get_original_cwd() != os.getcwd()  # by hydra.job.chdir=true
        cfg.run_dir = folder if moved else os.path.relpath(folder)
    check_folder(cfg)
    run = run_of(cfg)
    if not is_first_process():  # what is said and written is so once
        run.fit()
        return
    describe_data(run.datamodule.summary(), console)
    console.print(
        f"  model: {count_parameters(run.task.model):,} parameters; run folder {run.folder}",
        soft_wrap=True,
    )
    for note in run.notes:
        console.print(f"  {note}", soft_wrap=True)
    with whole_line():
        metrics = run.fit()
    run.task.report(run, metrics, console)
    console.print(f"everything is in {run.folder}", style="bold", soft_wrap=True)


@command("evaluate")
def evaluate(cfg: DictConfig) -> None:
    """Measure a trained model on one part of its data, or of other data."""
    import pytorch_lightning as pl
    from rich.table import Table

    from gia.analysis import describe_data
    from gia.tasks.calibrated import Calibrated
    from gia.tasks.calibration import check_confidence
    from gia.tasks.report import print_reliability
    from gia.training import load_trained, trained_data
    from gia.training.quiet import SILENT

    _check_part(cfg.part, "train", "val", "test", "all")
    confidence = check_confidence(cfg.confidence)
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust, base=cfg.base)
    task.confidence = confidence
    data = trained_data(trained, cfg.data, whole=cfg.part == "all")
    describe_data(data.summary(), console)
    trainer = pl.Trainer(devices=1, **SILENT)
    part = "test" if cfg.part == "all" else cfg.part
    (metrics,) = trainer.test(task, data.loader(part), verbose=False)
    if math.isnan(metrics["test/loss"]):
        raise ValueError("no target is known here: name the column with data.target_column=...")
    console.print(f"  {cfg.ckpt_path}", soft_wrap=True)
    table = Table(title=cfg.part.capitalize(), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name.removeprefix("test/"), f"{value:.4f}")
    console.print(table)
    if isinstance(task, Calibrated):
        found = {}
        if task.calibration is not None:
            found = task.reliability(task.predictions(data.loader(part)))
        print_reliability(task, found, console, cfg.ckpt_path)
        if found and cfg.part != "test" and cfg.data.path is None:
            console.print(
                "  it was calibrated on the validation part: part=test is what tells how well",
                soft_wrap=True,
            )


@command("predict")
def predict(cfg: DictConfig) -> None:
    """Predict the rows of a table, or one part of the data that a model was trained with."""
    import torch

    from gia.analysis import check_out, filled_notes
    from gia.data.training_set import FAR
    from gia.tasks import Explainer
    from gia.tasks.calibration import check_confidence
    from gia.training import load_trained, trained_data

    if cfg.ckpt_path is None:
        raise ValueError("ckpt_path is missing: give ckpt_path=...")
    path, part = cfg.data.path, cfg.part or "test"
    check_apart(cfg.part, path is not None)
    _check_part(part, "train", "val", "test")
    confidence = check_confidence(cfg.confidence)
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    task.check_predicts()
    task.confidence = confidence
    if cfg.dropout_samples is not None:
        task.use_dropout(cfg.dropout_samples)
    # Suffixes as in molecules.csv.gz are no part of the name.
    name = part if path is None else Path(path).name.removesuffix(".gz").rsplit(".", 1)[0]
    out = check_out(cfg.out or f"{name}_predicted.csv", path or trained.data.get("path"))
    explain = None
    if cfg.explain:
        folder = out.with_name(f"{out.stem}_explained")
        explain = Explainer(task, cfg.explain, folder, cfg.explain_rows)
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    data = trained_data(trained, cfg.data, set_up=path is None)
    if path is None:
        done = task.predict_part(data, part, out)
    else:
        done = task.predict_table(data, out, key=_predicted_by(cfg))
    console.print(f"  {done['predicted']:,} predictions in {out}", soft_wrap=True)
    if done["problems"]:
        console.print(f"  {done['problems']:,} rows without one: the column problem says why")
    if done.get("far"):
        console.print(
            f"  {done['far']:,} far from what the model was trained on: similarity_to_training "
            f"below {FAR}",
            soft_wrap=True,
        )
    for note in task.calibration_notes(cfg.ckpt_path):
        console.print(f"  {note}", soft_wrap=True)
    for note in filled_notes(done.get("filled", [])):
        console.print(f"  {note}", soft_wrap=True)
    if data.items is None and explain:  # a large table, of which no part is left
        data = _first_readable(data.parts(cfg.explain_rows))
    for note in explain(data, part) if explain else ():
        console.print(f"  {note}", soft_wrap=True)


@command("embed")
def embed(cfg: DictConfig) -> None:
    """Write the vectors that a trained model makes of graphs, or of their nodes."""
    import torch

    from gia.analysis import check_new, embeddings
    from gia.nn import check_embeds
    from gia.training import load_trained, trained_data

    part, other = cfg.part or "all", cfg.data.path is not None or "_target_" in cfg.data
    check_apart(cfg.part, other)
    _check_part(part, "train", "val", "test", "all")
    out = check_new(cfg.out)
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    check_embeds(task.model, cfg.layer, cfg.level)
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    whole = part == "all" and (cfg.data.path is None or "_target_" in cfg.data)
    data = trained_data(trained, cfg.data, whole=whole)
    chosen = "test" if part == "all" else part
    found = embeddings(task.model, data, chosen, layer=cfg.layer, level=cfg.level)
    if part == "all":
        found.problems = {entry.row: (entry.name, entry.reason) for entry in data.items.rejected}
    found.save(out)
    rows, width = found.x.shape
    console.print(f"  {rows:,} vectors of {width} numbers in {out}", soft_wrap=True)
    if found.problems:
        console.print(f"  {len(found.problems):,} rows without one: problem says why")


@command("generate")
def generate(cfg: DictConfig) -> None:
    """Write new sequences."""
    from gia.data.files import write_atomically
    from gia.training import load_trained

    task, _ = load_trained(cfg.ckpt_path, trust=cfg.trust, base=cfg.base)
    settings = ("num_samples", "max_new_tokens", "temperature", "top_k", "top_p", "seed")
    sequences = task.generate(cfg.prompt or "", **{name: cfg[name] for name in settings})
    text = "\n".join(
        line
        for number, sequence in enumerate(sequences, start=1)
        for line in (f">sample_{number}", sequence)
    )
    if cfg.out is None:
        print(text)
    else:
        with write_atomically(cfg.out) as file:
            file.write(text + "\n")
        console.print(f"{cfg.num_samples} sequences in {cfg.out}")


def _first_readable(parts: Iterator[Any]) -> Any:
    """The first part of a table that has anything to be predicted."""
    for part in parts:
        with contextlib.suppress(ValueError):
            part.setup()
            return part
    raise ValueError("no row can be explained")


def _predicted_by(cfg: DictConfig) -> str:
    """Everything but the table that predictions depend on."""
    from gia.data.cache import digest

    weights = hashlib.sha256()
    with open(cfg.ckpt_path, "rb") as file:
        while part := file.read(2**20):
            weights.update(part)
    asked = {name: value for name, value in cfg.data.items() if name != "path"}
    return digest(weights.hexdigest(), asked, cfg.confidence, cfg.dropout_samples)


def _check_part(part: str, *parts: str) -> None:
    if part not in parts:
        raise ValueError(f"part must be {', '.join(parts[:-1])} or {parts[-1]}, got {part!r}")
