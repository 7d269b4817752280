"""Names and texts of the command line arrive as they are spelled."""

import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gia.cli.texts import as_spelled, for_shell, is_text, settle

MOLECULES = [
    "data=molecules",
    "data.smiles_column=smiles",
    "data.path=x.csv",
    "name=x",
    "run_dir=x",
]
# What YAML or Hydra reads as something else, or not at all.
ODD = [
    "400", "0", "007", "1E5", "1e-3", "2024_01_05", "1_000", "-3", ".5", "0x1f", "12:30:00",
    "NAN", "nan", "INF", "-inf", "TRUE", "true", "False", "NULL", "Null", "None", "~x",
    "on", "off", "yes", "no", "y", "N",
    "FP (°C)", "IC50 [nM], mean", "ΔG=0", "a=b", "[nM", "nM]", "[a] [b]", "{x}", "}{", "(", ")",
    "a,b", ",", "a, b", " leading", "trailing ", "two  blanks", "tab\there", "line\nbreak",
    "it's", '5" pipe', "'", '"', "a'b\"c", "\\", "a\\", "C:\\data\\x.csv", "\\\\", "$", "$x", "${",
    "a${b", "%", "&", ";", "#", "# x", "!", "*", "?", "@", "a@b", "a:b", ":", "-", "--", "+", "/",
    "?!", "???x", "日本", "é", "🧪", "choice(1,2)", "range(3)", "str(4)", "=", "==", "|", "<5", ">",
]  # fmt: skip


def arrives(key, *arguments):
    with initialize_config_module("gia.conf", version_base="1.3"):
        cfg = compose("train", overrides=as_spelled([*MOLECULES, *arguments]))
    settle(cfg)
    value = OmegaConf.select(cfg, key)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def read(argument):
    (quoted,) = as_spelled([argument])
    value = OverridesParser.create().parse_override(quoted).value()
    return OmegaConf.create({"value": value}).value if isinstance(value, str) else value


@pytest.mark.parametrize("value", ODD)
def test_a_text_is_the_string_that_was_spelled(value):
    for key in ("data.target_column", "prompt", "data.name_column", "name"):
        assert read(f"{key}={value}") == value


@pytest.mark.parametrize("value", ["400", "NAN", "FP (°C)", "IC50 [nM], mean", "it's", "${", "on"])
def test_it_is_so_in_the_composed_configuration(value):
    assert arrives("data.target_column", f"data.target_column={value}") == value
    assert arrives("data.path", f"++data.path={value}") == value


@pytest.mark.parametrize(
    ("spelled", "wanted"),
    [
        ("[400,402]", ["400", "402"]),
        ("[ FP (°C) , 'IC50 [nM], mean', ΔG=0]", ["FP (°C)", "IC50 [nM], mean", "ΔG=0"]),
        ("[NAN,NULL,1E5]", ["NAN", "NULL", "1E5"]),
        ("[a (b, c),d]", ["a (b, c)", "d"]),
        ("[a(b,c]", ["a(b", "c"]),
        ("[]", []),
        ("[it's,5']", ["it's", "5'"]),
    ],
)
def test_a_list_of_texts(spelled, wanted):
    for key in ("data.target_column", "data.smiles_column"):
        assert read(f"{key}={spelled}") == wanted


def test_brackets_are_letters_where_there_is_no_list():
    assert read("data.sequence_column=[400,402]") == "[400,402]"
    assert read("data.target_column=[a] or [b]") == "[a] or [b]"


def test_what_hydra_quotes_already_is_left_alone():
    for argument in ("name='400'", 'name="FP (°C)"', "name=epoch\\=3", "name=a\\,b\\ c", "name="):
        assert as_spelled([argument]) == [argument]
    assert read("ckpt_path=runs/epoch\\=3.ckpt") == read("ckpt_path=runs/epoch=3.ckpt")
    assert read("data.target_column='a' or 'b'") == "'a' or 'b'"


def test_null_is_none_and_can_be_a_text():
    assert read("data.name_column=null") is None
    assert read("data.name_column='\"null\"'") == '"null"'
    assert read('data.name_column="null"') == "null"
    assert read("data.name_column=NULL") == "NULL"


def test_other_settings_are_read_as_ever():
    others = ["model.depth=3", "data=molecules", "seed=0,1", "+x=[1,2]", "~data.path", "plan", "-m"]
    assert as_spelled(others) == others
    assert as_spelled(["--config-dir", "name=x y", "name=x y"])[1:] == ["name=x y", "name='x y'"]
    assert is_text("data.target_column")
    assert not is_text("data.batch_size")
    assert not is_text("data.target_column.x")


def test_a_setting_may_refer_to_another():
    assert arrives("data.path", "data.path=${name}/x (1).csv", "name=a=b") == "a=b/x (1).csv"


def test_a_home_folder_is_meant_by_a_tilde_in_paths():
    home = str(Path.home())
    assert read("data.path=~/x.csv") == f"{home}/x.csv"
    assert read("run_dir=~") == home
    assert arrives("data.path", "data.path='~/x.csv'") == f"{home}/x.csv"
    assert read("data.target_column=~/x") == "~/x"
    assert read("data.path=~x.csv") == "~x.csv"


def test_commas_separate_the_runs_of_a_multirun():
    assert as_spelled(["-m", "data.target_column=400,FP (°C)"])[1] == (
        "data.target_column='400','FP (°C)'"
    )
    assert as_spelled(["-m", "data.target_column=[1,2],'a,b', 007"])[1] == (
        "data.target_column=['1','2'],'a,b','007'"
    )
    assert as_spelled(["-m", "name=choice(a,b)"])[1] == "name=choice(a,b)"
    assert as_spelled(["name=a,b"]) == ["name='a,b'"]


def test_numbers_of_a_file_become_texts_and_are_told():
    cfg = OmegaConf.create({"data": {"target_column": [400, "b"], "path": 7, "batch_size": 7}})
    notes = settle(cfg)
    assert cfg.data == {"target_column": ["400", "b"], "path": "7", "batch_size": 7}
    assert notes == [
        "data.target_column: the number 400 is read as the text '400'",
        "data.path: the number 7 is read as the text '7'",
    ]


@pytest.mark.parametrize("value", [True, 1e5, float("nan")])
def test_what_has_no_certain_spelling_is_refused(value):
    cfg = OmegaConf.create({"data": {"target_column": value}})
    with pytest.raises(ValueError, match=r"data.target_column is .* and no text: .* in quotes"):
        settle(cfg)


def test_relative_paths_can_start_elsewhere(tmp_path):
    cfg = OmegaConf.create({"data": {"path": "x.csv", "target_column": "y"}, "out": None})
    settle(cfg, tmp_path)
    assert cfg.data == {"path": str(tmp_path / "x.csv"), "target_column": "y"}
    assert cfg.out is None


def test_a_printed_setting_can_be_pasted():
    """Through a real shell, and Hydra's grammar."""
    values = [*ODD, "null", "'quoted'", "epoch=3.ckpt", "runs/a=b [c] d/last.ckpt"]
    line = " ".join(for_shell("ckpt_path", value) for value in values)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    words = done.stdout.split("\0")[:-1]
    assert [read(word) for word in words] == values
    assert for_shell("ckpt_path", "runs/x/last.ckpt") == "ckpt_path=runs/x/last.ckpt"


@pytest.mark.parametrize(
    ("given", "units"),
    [
        ("eV", "eV"),
        ("400", "400"),
        ("°C", "°C"),
        ("log mol/L", "log mol/L"),
        ("[eV,kJ mol^-1]", ["eV", "kJ mol^-1"]),
        ("{y: eV, FP: K}", {"y": "eV", "FP": "K"}),
        ("null", None),
    ],
)
def test_units_are_a_text_a_list_or_named(given, units):
    assert arrives("data.units", f"data.units={given}") == units
