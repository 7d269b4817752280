"""What a user can cause ends with one line that names the setting and what works in its place."""

import csv

import pytest
from runs import SMALL, in_fresh_process

# Arguments of `gia train`, and what its line says.
WRONG = {
    "a setting": (["model.widht=3"], "there is no setting model.widht; did you mean model.width?"),
    "a new one": (["trainer.min_epochs=3"], "+trainer.min_epochs=... adds a new one"),
    "a group": (["modle=gps"], "there is no setting modle; did you mean model?"),
    "an option": (
        ["attention=gni"],
        "no 'gni' in attention; did you mean gin?; there are gin, pna",
    ),
    "of hydra": (["hydra.run.dri=3"], "did you mean hydra.run.dir?"),
    "to delete": (["~foo"], "there is no setting foo"),
    "left out": (["~model"], "the configuration has no model: ~model has left it out"),
    "emptied": (["model=null"], "model=null: model needs one of its options; ~model leaves"),
    "already there": (["+trainer.max_epochs=3"], "remove + prefix: 'trainer.max_epochs=3'"),
    "no value": (["data.path"], "'data.path' is no setting, as key=value is"),
    "a blank": (
        ["data=fasta", "data.path=my", "x.fasta"],
        "'x.fasta' is no setting, as key=value is; a value with blanks is quoted: "
        "'data.path=my x.fasta'",
    ),
    "no name": (["1a=3"], "'1a=3': '1a' is no name of a setting"),
    "several": (["seed=0,1"], "seed=0,1 has several values: for a run of each add -m"),
    "several of a list": (
        ["data.max_length=1,2"],
        "a list is given as 'data.max_length=[1,2]', a text as 'data.max_length=\"1,2\"'",
    ),
    "a sweep": (["model.width=choice(1,2)"], "for a run of each add -m"),
    "grammar": (
        ["scheduler.note=(3)"],
        "'scheduler.note=(3)': as a text this value is given so: 'scheduler.note=\"(3)\"'",
    ),
    "a reference": (["data=fasta", "data.path=${nokey}"], "data.path: Interpolation key 'nokey'"),
    "in the folder": (["run_dir=${nokey}"], "hydra.run.dir: Interpolation key 'nokey' not found"),
    "a folder": (["--config-dir=nowhere"], "nowhere' not found"),
    "a number": (["model.width=abc"], "model.width=abc is no number, as model.width=96 is"),
    "a whole one": (["model.depth=2.5"], "model.depth=2.5 is no whole number, as model.depth="),
    "a seed": (["seed=abc"], "seed=abc is no number, as seed=0 is"),
    "a class": (["optimizer._target_=torch.optim.Nope"], "Error loading 'torch.optim.Nope':"),
    "a part": (["model.block=3"], "Error in call to target 'gia.nn.models.transformer.Language"),
    "in a multirun": (["-m", "attention=gin,gni"], "no 'gni' in attention; did you mean gin?"),
}
# These fail when all is read.
LATER = {
    "an argument": (["+optimizer.foo=3"], "+optimizer.foo=3: AdamW.__init__() got an unexpected"),
    "a rate": (["optimizer.lr=fast"], "optimizer.lr=fast is no number, as optimizer.lr=0.001 is"),
    "epochs": (["trainer.max_epochs=x"], "trainer.max_epochs=x is no number, as trainer.max_e"),
}


def line_of(folder, *arguments, command="train", **environment):
    done = in_fresh_process(command, *arguments, cwd=folder, **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line]
    assert lines[-1].startswith("gia: ")
    assert sum("gia: " in line for line in lines) == 1
    return lines[-1]


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_named(case, tmp_path):
    arguments, message = WRONG[case]
    assert message in line_of(tmp_path, *arguments)
    assert "-m" in arguments or not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", LATER)
def test_a_wrong_setting_is_named_when_it_is_used(case, tmp_path):
    (tmp_path / "s.fasta").write_text("".join(f">r{n}\n{'GLWKA' * (n + 3)}\n" for n in range(30)))
    arguments, message = LATER[case]
    data = ["data=fasta", "data.path=s.fasta", "data.split=random", *SMALL]
    assert message in line_of(tmp_path, *data, *arguments)


def test_a_wish_for_a_traceback_is_kept(tmp_path):
    done = in_fresh_process("train", "model.widht=3", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_other_commands_and_plans_too(tmp_path):
    assert "did you mean num_samples?" in line_of(
        tmp_path, "ckpt_path=x", "num_sample=3", command="generate"
    )
    assert "did you mean graphs?" in line_of(tmp_path, "plan=grafs", command="duel")


@pytest.mark.parametrize("column", ["400", "[400,402]", "FP (°C)", "IC50 [nM], mean", "ΔG=0"])
def test_columns_with_odd_names_are_trained(column, tmp_path):
    """In a run folder with an odd name; then the checkpoint is used, by its own odd name."""
    names = ["400", "402", "FP (°C)", "IC50 [nM], mean", "ΔG=0"]
    with (tmp_path / "2024_01_05").open("w", newline="") as file:
        rows = [["C" * n, *(n / 7 + shift for shift in range(5))] for n in range(1, 31)]
        csv.writer(file).writerows([["smiles", *names], *rows])
    data = ["data=molecules", "data.path=2024_01_05", "data.smiles_column=smiles"]
    small = [*SMALL, "debug=fast", "callbacks.best.filename=epoch={epoch} (°C) [best]"]
    run = "runs/a=b [c] d, :x:"
    arguments = [*data, f"data.target_column={column}", *small, f"run_dir={run}"]
    done = in_fresh_process("train", *arguments, cwd=tmp_path, GIA_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"everything is in {run}"
    checkpoint = f"ckpt_path={run}/checkpoints/epoch=0 (°C) [best].ckpt"
    arguments = ["predict", checkpoint, "data.path=2024_01_05", "out=predicted [1].csv"]
    done = in_fresh_process(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "predicted [1].csv").open(newline="") as file:
        header = next(csv.reader(file))
    targets = ["400", "402"] if column.startswith("[") else [column]
    said = [*(f"predicted_{name}" for name in targets), "similarity_to_training"]
    assert header[-len(said) :] == said


@pytest.mark.parametrize("file", ["number_names.csv", "odd_names.csv"])
def test_the_shared_tables_are_trained(file, shared_data, tmp_path):
    table = shared_data.parent / "cases" / file
    if not table.is_file():
        pytest.skip(f"../shared/cases/{file} is not here")
    with table.open(newline="") as opened:
        columns = next(csv.reader(opened))[1:]
    data = ["data=molecules", f"data.path={table}", "data.smiles_column=smiles", *SMALL]
    arguments = [*data, "debug=fast", f"data.target_column={columns[-1]}", "run_dir=run"]
    done = in_fresh_process("train", *arguments, cwd=tmp_path, GIA_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
