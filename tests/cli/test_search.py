"""``gia search``: a wrong line ends before any data is read; what it leaves is read again."""

import sys

import pytest
from runs import in_fresh_process

from gia.cli.argument_files import with_files

# No such file: whatever reads it says so in the place of what is expected.
NO_DATA = ["data=esol", "data.path=nowhere.csv", "data.url=null"]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("optimizer.lrr=interval(1,2)", "there is no setting optimizer.lrr; did you mean"),
        ("optimizer.lr=interval(2,1)", "optimizer.lr=interval(2,1): the interval is empty"),
        ("model.depth=range(3,3)", "model.depth=range(3,3): the range is empty"),
        ("model.depth=choice()", "model.depth=choice(): empty choice is not legal"),
        ("model.depth=glob(*)", "name the options with choice"),
        ("attention=choice(gin,foo)", "there is no 'foo' in attention; there are gin, pna"),
        ("model.widht=64", "there is no setting model.widht; did you mean model.width?"),
        ("trails=3", "there is no setting trails; did you mean trials?"),
        ("trials=0", "trials must be a whole number from 1 on, got 0"),
        ("jobs=two", "jobs must be a whole number from 1 on, got 'two'"),
        ("space.model.depth=range(1,3)", "as 'model.depth=range(1,3)'"),
        ("space.model.depth=3", "a setting with a value, as 'model.depth=3', is not varied"),
        ("space=null", "there is nothing to vary"),
        ("-m", "a search is no multirun"),
        ("ckpt_path=last.ckpt", "ckpt_path resumes a single training"),
        ("ensemble=choice(3,5)", "a trial trains one model, so that this cannot be varied"),
        ("+callbacks.best.mode=highest", "callbacks.best.mode must be min or max, got 'highest'"),
        ("resume=nothing", "resume=nothing holds no search"),
        ("@nothing.yaml", "there is no file nothing.yaml"),
        ("seed=0", "data.path=nowhere.csv does not exist"),  # nothing wrong but the data
    ],
)
def test_a_wrong_line_ends_before_any_data_is_read(argument, said, tmp_path):
    pytest.importorskip("optuna")
    done = in_fresh_process("search", *NO_DATA, argument, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("gia: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_a_search_is_gone_on_with(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "search.yaml").touch()
    done = in_fresh_process("search", *NO_DATA, "run_dir=s", cwd=tmp_path)
    said = "gia: run_dir s already holds a search: resume=s goes on with it"
    assert done.stderr.strip() == said


def test_help_needs_no_optuna(tmp_path):
    done = in_fresh_process("search", "--help", cwd=tmp_path)
    assert "gia train @searches/esol/TIME/best.yaml" in done.stdout
    assert "optimizer.lr: tag(log,interval(" in done.stdout


def test_without_optuna_it_says_what_to_install(monkeypatch):
    from gia.cli.search import _library

    for name in [name for name in sys.modules if name.startswith("gia.search")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"not installed: pip install gia\[search\]"):
        _library()


def test_a_file_stands_for_its_settings(tmp_path):
    file = tmp_path / "my settings.yaml"
    file.write_text("# a comment\n- data=esol\n- 'data.target_column=FP (°C)'\n- model.width=64\n")
    assert with_files(["seed=1", f"@{file}", "model.width=32"]) == [
        "seed=1", "data=esol", "data.target_column=FP (°C)", "model.width=64", "model.width=32",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["model:\n  width: 3\n", "- 3\n", "", "- [a\n"])
def test_another_file_is_refused(text, tmp_path):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"odd.yaml (holds no list of settings|is no YAML)"):
        with_files([f"@{file}"])


def test_settings_behind_a_file_go_before_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("- data=esol\n- model.width=48\n- attention=pna\n")
    done = in_fresh_process(
        "train", "@mine.yaml", "model.width=32", "--cfg", "job", "--package", "model", cwd=tmp_path
    )
    assert "\nwidth: 32\n" in f"\n{done.stdout}"
