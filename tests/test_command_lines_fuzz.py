"""Thousands of command lines: the text that arrives is the text that was spelled."""

import re
import subprocess

import pytest
from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gia.cli.texts import ESCAPE, INTERPOLATION, LISTS, as_spelled, for_shell, settle

pytestmark = pytest.mark.slow

KEYS = ["data.target_column", "data.smiles_column", "data.path", "data.name_column", "run_dir"]
KEYS += ["name", "prompt", "ckpt_path", "data.split_file", "data.alphabet", "hydra.run.dir"]
WORDS = [
    *("NAN", "nan", "INF", "-inf", "TRUE", "false", "NULL", "Null", "None", "on", "off", "yes"),
    *("no", "y", "N", "007", "0", "1E5", "1e-5", "2024_01_05", "1_0", "0x1f", "0b1", "12:30", ".5"),
    *("5.", "+3", "-3", "~", "~x", "???", "choice(a,b)", "range(1,3)", "str(1)", "interval(0,1)"),
]
# The signs that Hydra, YAML, OmegaConf or a shell give a meaning to, and letters of all kinds.
SIGNS = st.sampled_from(list("°Δµ[](){}~,=: '\"\\$%&;#!*?@-+/|<>.^`\t\n"))
LETTERS = st.sampled_from(list("abcXYZ019_")) | st.characters(exclude_categories=["Cs", "Cc"])
TEXTS = (
    st.sampled_from(WORDS)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.text(SIGNS | LETTERS, max_size=12)
    | st.lists(st.sampled_from(WORDS) | st.text(SIGNS, max_size=3), max_size=4).map("".join)
)
FUZZ = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck)}


def is_plain(value):
    """Whether no rule but "as it is spelled" holds: no quotes, escapes or references of Hydra's."""
    quoted = re.fullmatch(r"'.*'|\".*\"", value, re.DOTALL)
    listed = value.startswith("[") and value.endswith("]")
    home = value == "~" or value.startswith("~/")
    refers = INTERPOLATION.search(value)
    word = value in ("null", "???")  # no value, and a value that is still to be given
    return not (quoted or listed or home or refers or ESCAPE.search(value) or word)


def separable(values):
    """Those that need no quotes among others."""
    values = [value.strip() for value in values]
    values = [value for value in values if value and is_plain(value)]
    return [
        value
        for value in values
        if value[0] not in "'\"" and value[-1] != "\\" and not set(value) & {*",[]{}()"}
    ]


ANY = TEXTS.filter(lambda value: value != "???" and not INTERPOLATION.search(value))


def value_of(override):
    value = OverridesParser.create().parse_override(override).value()
    return OmegaConf.create({"value": value}).value


@example("data.target_column", "\\${", "")
@example("data.target_column", "a\\\\${choice(a,b)", "")
@settings(max_examples=3000, **FUZZ)
@given(st.sampled_from(KEYS), TEXTS.filter(is_plain), st.sampled_from(["", "+", "++"]))
def test_a_text_arrives(key, value, sign):
    (override,) = as_spelled([f"{sign}{key}={value}"])
    assert value_of(override) == value


@settings(max_examples=600, **FUZZ)
@given(st.sampled_from(KEYS), ANY)
def test_a_printed_setting_is_read_again(key, value):
    """Any text, also one that looks quoted or is called null."""
    word = printed(for_shell(key, value))
    (override,) = as_spelled([word])
    assert value_of(override) == value


def printed(word):
    """As a POSIX shell takes quotes away; a real one is asked below."""
    return re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda m: (m[1] or "") + (m[2] or ""), word)


@settings(max_examples=600, **FUZZ)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(LISTS))
def test_a_list_arrives(values, key):
    """Elements that have no bracket or comma of their own need no quotes."""
    values = separable(values)
    (override,) = as_spelled([f"{key}=[{','.join(values)}]"])
    found = OverridesParser.create().parse_override(override).value()
    assert [OmegaConf.create({"value": value}).value for value in found] == values


@settings(max_examples=600, **FUZZ)
@given(st.lists(TEXTS, min_size=2, max_size=4), st.sampled_from(KEYS))
def test_the_runs_of_a_multirun_get_one_each(values, key):
    values = separable(values)
    if len(values) < 2:
        return
    _, override = as_spelled(["-m", f"{key}={','.join(values)}"])
    parsed = OverridesParser.create().parse_overrides([override])
    ((*jobs,),) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    assert [value_of(job) for (job,) in jobs] == values


@settings(max_examples=50, **FUZZ)
@given(TEXTS.filter(is_plain), TEXTS.filter(is_plain))
def test_the_whole_configuration_holds_it(column, path):
    given_ = [f"data.target_column={column}", f"data.path={path}", "data.smiles_column=s"]
    arguments = ["data=molecules", "name=x", "run_dir=x", *given_]
    with initialize_config_module("gia.conf", version_base="1.3"):
        cfg = compose("train", overrides=as_spelled(arguments))
    assert settle(cfg) == []
    assert (cfg.data.target_column, cfg.data.path) == (column, path)


def test_a_real_shell_reads_what_is_printed():
    lines, values = [], []

    @settings(max_examples=500, **FUZZ)
    @given(ANY)
    def collect(value):
        values.append(value)
        lines.append(for_shell("ckpt_path", value))

    collect()
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {' '.join(lines)}"],
        capture_output=True, encoding="utf-8", check=True, env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    words = done.stdout.split("\0")[:-1]
    assert [value_of(override) for override in as_spelled(words)] == values
