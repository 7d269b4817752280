"""Findings reach the terminal, JSON, Markdown and a picture."""

import json
import math
from argparse import Namespace

import pytest
from report import Report, bars_figure, command, lines_figure, markdown_table, write_json


@pytest.fixture
def args(tmp_path):
    return Namespace(
        threads=2,
        seconds=0.5,
        no_memory=False,
        lengths=[16, 32],
        json=tmp_path / "new/ratios.json",
        plot=tmp_path / "new/images/picture.png",
        markdown=tmp_path / "new/section.md",
    )


def test_json_is_flat_and_whole(tmp_path):
    path = tmp_path / "ratios.json"
    write_json(path, {"a_L1": 1.5})
    assert json.loads(path.read_text()) == {"a_L1": 1.5}
    for wrong in (math.nan, {"b": 1.0}, "fast"):
        with pytest.raises(ValueError, match="a_L2 must be a finite number"):
            write_json(path, {"a_L2": wrong})
    assert json.loads(path.read_text()) == {"a_L1": 1.5}  # what was there is still whole
    assert list(tmp_path.iterdir()) == [path]


def test_report_writes_what_it_was_told(args, capsys):
    report = Report("A title", args)
    assert report.ratio("fast_over_slow", 1.0, 4.0) == 0.25
    report.table("Numbers", ["name", "ms"], [["one", 1.23456], ["two", None]])
    report.write(lines_figure({"time": {"gin": {16: 1.0, 32: 2.0}}}))
    assert json.loads(args.json.read_text()) == {"fast_over_slow": 0.25}
    assert args.plot.read_bytes().startswith(b"\x89PNG")
    text = args.markdown.read_text()
    assert "| one | 1.23 |" in text
    assert "| two | - |" in text
    assert "![A title](images/picture.png)" in text
    assert str(args.json.parent) not in text
    out = capsys.readouterr().out
    for said in ("A title", "threads 2", "torch 2", "lengths 16 32", "processor", "1.23"):
        assert said in out, said
    assert "no memory" not in out


def test_a_failed_part_is_told_and_gives_the_exit_status(args, capsys):
    report = Report("A title", args)
    assert report.status == 0
    report.fail("no such thing")
    assert report.status == 1
    assert "FAILED: no such thing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/x/benchmarks/a.py"], "python benchmarks/a.py"),
        (["a.py", "--json", "/x/y", "--threads", "2"], "python benchmarks/a.py --threads 2"),
        (["a.py", "--plot=/x", "--markdown", "m", "--l", "1"], "python benchmarks/a.py --l 1"),
    ],
)
def test_command_repeats_the_run_without_its_outputs(argv, expected):
    assert command(argv) == expected


def test_markdown_table_has_a_line_for_each_row():
    assert markdown_table(["a", "b"], [["1", "2"]]) == [
        "| a | b |",
        "| ---: | ---: |",
        "| 1 | 2 |",
    ]


def test_figures_show_every_side():
    lines = lines_figure({"time": {"gin": {1: 1.0}}, "memory": {"gin": {1: 2.0}, "sdpa": {1: 3.0}}})
    assert [axes.get_xscale() for axes in lines.axes] == ["log", "log"]
    assert [len(axes.lines) for axes in lines.axes] == [1, 2]
    assert {text.get_text() for text in lines.legends[0].get_texts()} == {"gin", "sdpa"}
    bars = bars_figure({"one": {"gin": 1.0, "hf": 2.0}, "two": {"gin": 3.0}}, "ms").axes[0]
    assert sorted(bar.get_height() for bar in bars.patches) == [1.0, 2.0, 3.0]
