"""Settings as JSON can hold them: what `config` writes, `from_config` reads."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastact.nn import _checks

Made = TypeVar("Made")


class Configured:
    """An object that keeps every argument of its constructor as an attribute of the same name."""

    name: str

    def config(self) -> dict[str, Any]:
        """Return the name and the arguments of the constructor, as JSON can hold them.

        Raises
        ------
        TypeError
            An argument is a function of the caller's own.
        """
        settings: dict[str, Any] = {"name": self.name}
        for argument in _arguments(type(self)):
            value = getattr(self, argument)
            if callable(value) and not isinstance(value, Configured):
                raise TypeError(f"{argument} must be a number or an nn.schedules.Schedule to be saved, got {value!r}")
            settings[argument] = value.config() if isinstance(value, Configured) else value
        return settings

    def __repr__(self) -> str:
        settings = []
        for argument, default in _arguments(type(self)).items():
            value = getattr(self, argument)
            if value or value != default:  # left out: what is off by default, and off here
                settings.append(f"{argument}={value:g}" if type(value) is float else f"{argument}={value!r}")
        return f"{type(self).__name__}({', '.join(settings)})"


def _arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the names of a function's arguments and their defaults."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def from_config(
    what: str, config: Mapping[str, Any], table: Mapping[str, type[Made]], nested: Callable[[Any], Any]
) -> Made:
    """Return ``table[config["name"]]`` called with the rest, in which ``nested`` makes an object of a dict."""
    if not isinstance(config, Mapping):
        raise TypeError(f"the config of the {what} must be a dict, got {config!r} ({type(config).__name__})")
    if "name" not in config:
        raise ValueError(f"the config of the {what} must have a 'name', got the keys {', '.join(map(repr, config))}")
    made = _checks.choose(f"{what} name", config["name"], table)
    known = _arguments(made)
    settings = {}
    for key, value in config.items():
        if key == "name":
            continue
        if key not in known:
            raise ValueError(f"{what} {config['name']!r} takes {', '.join(map(repr, known))}; got {key!r}")
        settings[key] = nested(value) if isinstance(value, Mapping) else value
    for key, default in known.items():
        if default is inspect.Parameter.empty and key not in settings:
            raise ValueError(f"{what} {config['name']!r} needs {key!r}, which is not in its config")
    return made(**settings)
