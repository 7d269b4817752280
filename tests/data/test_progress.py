"""How far work is: lines where nobody looks at a terminal."""

import time

import pytest

from gia.data import progress as module
from gia.data.progress import Clock, duration, progress


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3599.7, "1 h 0 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
    assert duration(7800) == "2 h 10 min"


def test_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = Clock(every=10)
    assert not clock.due()
    now[0] += 30
    assert clock.due()
    assert not clock.due()  # the next one is later
    assert clock.times(0.25) == "30 s, about 1 min 30 s left"
    assert clock.times(0) == clock.times(1) == "30 s"


def test_lines_in_a_log(monkeypatch, capsys):
    monkeypatch.setattr(module, "EVERY", 0)
    monkeypatch.setattr(module.Clock.__init__, "__defaults__", (0,))
    assert list(progress(range(3), 3, "reading", many=2)) == [0, 1, 2]
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("  reading: 1 of 3; 0 s, about ")
    assert lines[-1] == "  reading: 3 of 3; 0 s"


def test_few_items_and_short_work_are_silent(capsys):
    assert list(progress(range(3), 3, "reading")) == [0, 1, 2]
    assert list(progress(range(2000), 2000, "reading"))[-1] == 1999
    assert capsys.readouterr().err == ""
