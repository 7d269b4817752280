"""One function over many values, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")
BATCH = 16  # values that a process is handed at once


def on_all_cores(
    function: Callable[[Value], Result], values: Sequence[Value], few: int
) -> Iterator[Result]:
    """What a function makes of each value, in their order, as soon as it is known.

    Args:
        function: can be pickled, as what it takes and gives.
        values: what it is called with.
        few: up to so many values are this process's alone, as starting others takes longer.
    """
    if len(values) <= few:
        yield from map(function, values)
        return
    from joblib import Parallel, cpu_count, delayed

    workers = Parallel(n_jobs=cpu_count(), return_as="generator", batch_size=BATCH)
    yield from workers(delayed(function)(value) for value in values)
