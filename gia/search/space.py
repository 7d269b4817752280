"""What is varied: Hydra's grammar of sweeps as distributions of Optuna."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

WORDS = "choice(a,b), range(start,stop,step), interval(low,high) or tag(log,interval(low,high))"


@dataclass(frozen=True)
class Dimension:
    """One setting that is varied, and the values that it takes.

    Attributes:
        key (str): As the command line names it, with a ``+`` where it is added.
        distribution (BaseDistribution): Of Optuna.
        spelled (dict): How choices are written, where they are no plain numbers.
    """

    key: str
    distribution: BaseDistribution
    spelled: Mapping[Any, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Dimension":
        """Read ``KEY=SWEEP`` in Hydra's grammar.

        Args:
            text (str): Such as ``optimizer.lr=tag(log,interval(1e-4,1e-2))``.

        Raises:
            HydraException: If Hydra's grammar does not take it.
            ValueError: If it varies nothing, or holds no value.
        """
        override = OverridesParser.create().parse_override(text)
        if not override.is_sweep_override() or override.is_delete():
            raise ValueError(f"{text}: a space has {WORDS}")
        sweep = override.value()
        if isinstance(sweep, ChoiceSweep):
            return _choice(text, override)
        if isinstance(sweep, IntervalSweep):
            distribution = _interval(text, sweep)
        elif isinstance(sweep, RangeSweep):
            distribution = _range(text, sweep)
        else:
            raise ValueError(f"{text}: a space has {WORDS}; name the options with choice")
        return cls(override.get_key_element(), distribution)

    @property
    def name(self) -> str:
        """The key without its sign."""
        return self.key.lstrip("+")

    def suggest(self, trial: Trial) -> Any:
        """A value for a trial."""
        options = self.distribution
        if isinstance(options, CategoricalDistribution):
            return trial.suggest_categorical(self.name, options.choices)
        draw = trial.suggest_int if isinstance(options, IntDistribution) else trial.suggest_float
        step = {} if options.log else {"step": options.step}
        return draw(self.name, options.low, options.high, log=options.log, **step)

    def setting(self, value: Any) -> str:
        """A value as a setting of the command line."""
        return f"{self.key}={self.spelled.get(value, _plain(value))}"

    def some(self) -> Any:
        """One of the values."""
        options = self.distribution
        return options.choices[0] if hasattr(options, "choices") else options.low

    def values(self) -> list[Any] | None:
        """All values; None if they cannot be counted."""
        options = self.distribution
        if isinstance(options, CategoricalDistribution):
            return list(options.choices)
        if options.step is None:
            return None
        count = round((options.high - options.low) / options.step) + 1
        return [options.low + number * options.step for number in range(count)]

    def holds(self, value: Any) -> bool:
        """Whether the search could come to a value by itself."""
        options = self.distribution
        if isinstance(options, CategoricalDistribution):
            return any(type(value) is type(known) and value == known for known in options.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(options, IntDistribution) and value != int(value):
            return False
        steps = 0.0 if options.step is None else (value - options.low) / options.step
        return options.low <= value <= options.high and abs(steps - round(steps)) < 1e-8


class Space:
    """All settings that are varied together.

    Args:
        sweeps (iterable of str): ``KEY=SWEEP`` in Hydra's grammar; of one key the last counts.

    Attributes:
        sweeps (list of str): As they are given.
        dimensions (dict): What is varied, by its name.

    Raises:
        HydraException, ValueError: As :meth:`Dimension.parse`.
    """

    def __init__(self, sweeps: Iterable[str]):
        self.sweeps = list(sweeps)
        parsed = [Dimension.parse(text) for text in self.sweeps]
        self.dimensions = {dimension.name: dimension for dimension in parsed}

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions.values())

    def __len__(self) -> int:
        return len(self.dimensions)

    def suggest(self, trial: Trial) -> list[str]:
        """The settings of a trial."""
        return [dimension.setting(dimension.suggest(trial)) for dimension in self]

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Whether the search could come to these values, one of each setting, by itself."""
        return all(
            dimension.name in params and dimension.holds(params[dimension.name])
            for dimension in self
        )

    def settings(self, params: Mapping[str, Any]) -> list[str]:
        """What Optuna keeps of a trial, as settings."""
        return [self.dimensions[name].setting(value) for name, value in params.items()]

    def grid(self, most: int) -> list[dict[str, Any]] | None:
        """All combinations; None if there are more than so many."""
        values = [dimension.values() for dimension in self]
        if any(value is None for value in values) or math.prod(map(len, values)) > most:
            return None
        return [dict(zip(self.dimensions, chosen, strict=True)) for chosen in product(*values)]


def _choice(text: str, override: Override) -> Dimension:
    sweep = override.value()
    _check_tags(text, sweep.tags, ())
    spelled = list(override.sweep_string_iterator())
    plain = [type(value) in (int, float, bool) for value in sweep.list]
    values = [v if ok else s for v, ok, s in zip(sweep.list, plain, spelled, strict=True)]
    if len(set(values)) < len(values):
        raise ValueError(f"{text}: a choice is there twice")
    words = {value: value for value, ok in zip(values, plain, strict=True) if not ok}
    return Dimension(override.get_key_element(), CategoricalDistribution(values), words)


def _interval(text: str, sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    log = _check_tags(text, sweep.tags, ("log",))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{text}: both ends of an interval are finite")
    if low > high:
        raise ValueError(f"{text}: the interval is empty; the lower end comes first")
    if log and low <= 0:
        raise ValueError(f"{text}: on a logarithmic scale the lower end is above 0, got {low}")
    kind = IntDistribution if type(low) is int and type(high) is int else FloatDistribution
    return kind(low, high, log=log)


def _range(text: str, sweep: RangeSweep) -> BaseDistribution:
    _check_tags(text, sweep.tags, ())
    values = sorted(sweep.range())
    if not values:
        raise ValueError(f"{text}: the range is empty; it goes from start to below stop")
    kind = IntDistribution if all(type(value) is int for value in values) else FloatDistribution
    return kind(values[0], values[-1], step=abs(sweep.step))


def _check_tags(text: str, tags: Iterable[str], known: Iterable[str]) -> bool:
    """Whether there is a tag, of those that mean something there."""
    unknown = sorted(set(tags) - set(known))
    if unknown:
        raise ValueError(f"{text}: the tag {unknown[0]} means nothing here; intervals take log")
    return bool(set(tags))


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
