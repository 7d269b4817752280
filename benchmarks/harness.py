"""How things are measured: times side by side in one process, memory of a CPU in a fresh one."""

import argparse
import contextlib
import gc
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

LEAST_ROUNDS = 3  # a median of fewer says nothing, whatever the budget
MEMORY_LIMIT = "/sys/fs/cgroup/memory.max"
# With these, glibc hands freed memory back to the system at once and keeps one heap, so that what a
# process holds is what is alive in it, and not what was.
HONEST_MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
}


def interleave(
    sides: dict[str, Callable[[], Any]],
    *,
    seconds: float,
    repeats: int,
    sync: Callable[[], Any] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time several sides in turn, A B C A B C ..., so that a slow moment hits all of them.

    Args:
        sides (dict): A call for each name.
        seconds (float): After this long no new round begins, if there were 3 already. The warm-up,
            which is one round or more, is not counted.
        repeats (int): The most rounds.
        sync (callable): Waits until the device has done what it was told.
        clock (callable): Seconds from anywhere.

    Returns:
        For each name the seconds of its calls, one a round.

    Raises:
        ValueError: If there is nothing to time.
    """
    if not sides or repeats < 1:
        raise ValueError(f"needs sides and repeats of at least 1, got {[*sides]} and {repeats}")

    def timed(call: Callable[[], Any]) -> float:
        sync()
        start = clock()
        call()
        sync()
        return clock() - start

    start, rounds = clock(), 0
    while rounds == 0 or (rounds < LEAST_ROUNDS and clock() - start < seconds / 10):
        for call in sides.values():
            timed(call)
        rounds += 1
    times: dict[str, list[float]] = {name: [] for name in sides}
    with _no_garbage_collection():
        start = clock()
        for number in range(repeats):
            if number >= LEAST_ROUNDS and clock() - start >= seconds:
                break
            for name, call in sides.items():
                times[name].append(timed(call))
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """The median of each side's times."""
    return {name: median(values) for name, values in times.items()}


def peak_memory(
    prepare: Callable[[Any], Callable[[], Any]], case: Any, tiny: Any, *, threads: int, device: str
) -> int:
    """Most memory that a call holds at once beyond what was there before it.

    On the CPU that is asked of the system, for a fresh process; on a GPU of torch, in this one. The
    tiny case is run first, so that libraries, kernels and threads are in place. Then the case is
    built (parameters and inputs), the level noted, the call made, and the peak noted.

    Args:
        prepare (callable): ``prepare(case)`` builds parameters and inputs and returns the call. It
            is found by name in the new process, as are the types of the cases: none of them may be
            in the script itself.
        case: What is measured.
        tiny: The same at a size that does not matter.
        threads (int): Threads of torch.
        device (str): ``cpu`` or ``cuda``.

    Returns:
        Bytes, at least one page.

    Raises:
        MemoryError: If memory ran out.
        RuntimeError: If the process failed; its own error is on the terminal.
    """
    if device == "cuda":
        try:
            return _measure(prepare, case, tiny, threads, device)
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"memory ran out while {case} was measured") from error
    environment = {**os.environ, **HONEST_MALLOC, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__],
        input=pickle.dumps((prepare, case, tiny, threads, device)),
        stdout=subprocess.PIPE,
        env=environment,
    )
    if done.returncode == -signal.SIGKILL:  # Linux's answer to who asks for too much
        raise MemoryError(f"memory ran out while {case} was measured")
    if done.returncode:
        raise RuntimeError(
            f"the process that measured {case} ended with exit status {done.returncode}: see above"
        )
    return int(done.stdout.split()[-1])


def _measure(prepare: Callable, case: Any, tiny: Any, threads: int, device: str) -> int:
    torch.set_num_threads(threads)
    prepare(tiny)()
    call = prepare(case)
    gc.collect()
    level = _cuda_level() if device == "cuda" else _level()
    call()
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else _peak()
    return max(peak - level, resource.getpagesize())


def _cuda_level() -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _level() -> int:
    """What this process holds now; the system's high-water mark starts anew where it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:  # no such file, or not allowed: nothing before was above this level by much
        return _peak_ever()


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        return _peak_ever()


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def _peak_ever() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage speaks bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available_memory(device: str) -> int:
    """Bytes that can still be allocated on a device."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    free = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    with contextlib.suppress(OSError):  # Linux knows better what is free, and what is allowed
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    with contextlib.suppress(OSError, ValueError):  # no limit is written as "max"
        free = min(free, int(Path(MEMORY_LIMIT).read_text()))
    return free


def make_parser(description: str, *, seconds: float) -> argparse.ArgumentParser:
    """A parser with the arguments that every benchmark has.

    Args:
        description (str): What is compared.
        seconds (float): How long a comparison takes at most, unless the user says otherwise.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--threads", type=int, default=2, help="threads of torch")
    add("--seconds", type=float, default=seconds, help="time of a comparison, after its warm-up")
    add("--repeats", type=int, default=50, help="the most rounds of a comparison")
    add("--json", type=Path, metavar="PATH", help="write the ratios there")
    add("--plot", type=Path, metavar="PATH", help="write the picture there, as PNG")
    add("--markdown", type=Path, metavar="PATH", help="write the tables there")
    return parser


def sync_of(device: str) -> Callable[[], Any]:
    """What waits for a device."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if __name__ == "__main__":  # in the fresh process
    print(_measure(*pickle.load(sys.stdin.buffer)))
