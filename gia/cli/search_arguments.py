"""The arguments of ``gia search``: its own, those of the training, and what of these is varied."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from gia.cli.texts import FLAGS_WITH_VALUES, as_spelled

CONFIG_DIR = ("--config-dir", "-cd")


@dataclass(frozen=True)
class Arguments:
    """The arguments of a command line, told apart.

    Attributes:
        own (list of str): What the search takes, and Hydra's own options.
        training (list of str): Settings of the training.
        sweeps (dict): What is varied by the user's wish, ``KEY=SWEEP`` by its key.
        flags (list of str): Where configurations of the user's own are.
    """

    own: list[str]
    training: list[str]
    sweeps: dict[str, str]
    flags: list[str]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Arguments":
        """Tell them apart.

        Raises:
            HydraException: If one of them is no setting.
            ValueError: If one has no meaning here.
        """
        parts = cls([], [], {}, [])
        ours = own_keys()
        before = None
        for argument, spelled in zip(arguments, as_spelled(arguments), strict=True):
            flag = argument.startswith("-") or before in FLAGS_WITH_VALUES
            if argument in ("-m", "--multirun"):
                raise ValueError(f"{argument}: a search is no multirun; leave it out")
            if argument.startswith(CONFIG_DIR) or before in CONFIG_DIR:
                parts.flags.append(argument)
            before = argument
            if flag:
                parts.own.append(argument)
                continue
            override = _parsed(spelled)
            if override.key_or_group.partition(".")[0] in ours:
                if override.is_sweep_override():
                    hint = argument.removeprefix("space.")
                    raise ValueError(f"{argument}: only the training's are varied, as {hint!r}")
                if override.key_or_group.startswith("space."):
                    hint = argument.removeprefix("space.")
                    raise ValueError(
                        f"{argument}: a setting with a value, as {hint!r}, is not varied"
                    )
                parts.own.append(argument)
            elif override.is_sweep_override():
                parts.sweeps[override.key_or_group] = argument
            else:
                parts.training.append(argument)
        return parts

    def given(self, key: str) -> str | None:
        """The value of a setting of the search's own, if it is given."""
        parse = OverridesParser.create().parse_override
        for argument in reversed([one for one in self.own if one.startswith(f"{key}=")]):
            value = parse(as_spelled([argument])[0]).value()
            return None if value is None else str(value)
        return None

    def fixed(self) -> set[str]:
        """Keys of settings of the training that have a value."""
        parse = OverridesParser.create().parse_override
        return {parse(argument).key_or_group for argument in as_spelled(self.training)}


def _parsed(argument: str) -> Override:
    try:
        return OverridesParser.create().parse_override(argument)
    except OverrideParseException:
        raise
    except HydraException as error:  # of a function of the grammar, without the setting's name
        raise ValueError(f"{argument}: {error.__cause__ or error}") from error


def own_keys() -> set[str]:
    """Names of the settings that are the search's and not the training's."""
    config = OmegaConf.load(resources.files("gia.conf") / "search.yaml")
    return {str(key) for key in config} - {"defaults"}
