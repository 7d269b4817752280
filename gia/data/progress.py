"""How far long work is: a bar at a terminal, elsewhere a plain line every so often."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")

# From this many items on, reading them takes long enough to show how far it is.
MANY = 1000
EVERY = 15.0  # seconds between two lines, of a log file that nobody watches


def duration(seconds: float) -> str:
    """A time as it is said: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


class Clock:
    """When the next line is due, and how long the rest will take.

    Args:
        every: seconds between two lines.
    """

    def __init__(self, every: float = EVERY) -> None:
        self.every = every
        self.start = self._last = time.monotonic()

    @property
    def passed(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.start

    def due(self) -> bool:
        """Whether it is time for a line; then the next one is that much later."""
        now = time.monotonic()
        if now - self._last < self.every:
            return False
        self._last = now
        return True

    def times(self, share: float) -> str:
        """What has passed, and what is left of work that is done to this share.

        Args:
            share: of all work since the clock was started, between 0 and 1.
        """
        passed = self.passed
        if not 0 < share < 1:
            return duration(passed)
        return f"{duration(passed)}, about {duration(passed * (1 / share - 1))} left"


def progress(items: Iterable[T], total: int, description: str, many: int = MANY) -> Iterator[T]:
    """Iterate and show how far it is, on stderr, where there are more than ``many`` items.

    At a terminal that is a bar which goes when all is done; elsewhere, as in a log file, a line
    every 15 seconds with the time that is left.
    """
    console = Console(stderr=True)
    if total <= many:
        yield from items
    elif console.is_terminal:
        yield from track(items, description, total=total, console=console, transient=True)
    else:
        clock = Clock()
        for number, item in enumerate(items, start=1):
            yield item
            if clock.due():
                done = f"{description}: {number:,} of {total:,}; {clock.times(number / total)}"
                print(f"  {done}", file=sys.stderr, flush=True)
