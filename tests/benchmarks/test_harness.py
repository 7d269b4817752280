"""Times and memory are measured as they are said to be."""

import os

import pytest
import torch
from harness import available_memory, interleave, medians, peak_memory

MIB = 2**20


class Clock:
    """A clock that calls set forward."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def side(self, name, *seconds):
        left = list(seconds)

        def call():
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call

    def __call__(self):
        return self.now


def test_sides_take_turns_after_a_warm_up():
    clock = Clock()
    sides = {name: clock.side(name, 9.0, 1.0) for name in "abc"}
    times = interleave(sides, seconds=100, repeats=4, clock=clock)
    assert "".join(clock.order) == "abc" * 5
    assert times == {name: [1.0] * 4 for name in "abc"}  # without the slow first call


def test_quick_sides_warm_up_longer():
    clock = Clock()
    interleave({"a": clock.side("a", 0.1)}, seconds=100, repeats=4, clock=clock)
    assert len(clock.order) == 3 + 4


def test_median_does_not_mind_one_slow_round():
    clock = Clock()
    sides = {"a": clock.side("a", 0, 1, 2, 50, 3, 4), "b": clock.side("b", 2.0)}
    times = interleave(sides, seconds=1000, repeats=5, clock=clock)
    assert medians({"a": [1, 2, 50, 3, 4]}) == {"a": 3}
    assert medians(times)["b"] == 2.0


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (5.0, 5), (1e9, 8)])
def test_time_is_bounded_but_there_are_always_three_rounds(seconds, rounds):
    clock = Clock()
    times = interleave({"a": clock.side("a", 1.0)}, seconds=seconds, repeats=8, clock=clock)
    assert len(times["a"]) == rounds


def test_device_is_waited_for_before_and_after_each_call():
    clock, waits = Clock(), []
    sides = {"a": clock.side("a", 1.0)}
    interleave(sides, seconds=0, repeats=3, sync=lambda: waits.append(clock.now), clock=clock)
    assert len(waits) == 2 * len(clock.order)


@pytest.mark.parametrize(("sides", "repeats"), [({}, 3), ({"a": print}, 0)])
def test_nothing_to_time_is_an_error(sides, repeats):
    with pytest.raises(ValueError, match="at least 1"):
        interleave(sides, seconds=1, repeats=repeats)


def allocate(mib):
    """Inputs of 100 MiB; the call holds twice ``mib`` at once and has freed as much before."""
    inputs = torch.ones(100 * MIB // 4)

    def call():
        torch.ones(mib * MIB // 4)  # freed at once
        first = torch.ones(mib * MIB // 4)
        second = torch.ones(mib * MIB // 4)
        return float(first[0] + second[0] + inputs[0])

    return call


def end_badly(mib):
    os._exit(3)


def ask_for_too_much(mib):
    os.kill(os.getpid(), 9)


def test_peak_is_what_the_call_holds_at_once():
    peak = peak_memory(allocate, 64, 1, threads=1, device="cpu")
    assert peak == pytest.approx(2 * 64 * MIB, rel=0.05)


def test_processes_that_end_early_are_told():
    with pytest.raises(RuntimeError, match="exit status 3"):
        peak_memory(end_badly, 1, 1, threads=1, device="cpu")
    with pytest.raises(MemoryError, match="memory ran out while 1"):
        peak_memory(ask_for_too_much, 1, 1, threads=1, device="cpu")


def test_available_memory_is_less_than_there_is():
    assert 0 < available_memory("cpu") <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
