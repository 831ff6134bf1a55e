# SPDX-License-Identifier: MIT
"""How a setting is declared, and what makes its value of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs


__all__ = (
    "SHORTEST_SECRET",
    "Secret",
    "in_range",
    "one_of",
    "option",
    "secret_option",
    "words",
)


#: Minimum length of a secret that an operator makes up (not a provider's).
SHORTEST_SECRET = 16
#: Of the cron secret: it opens one route that runs what is due anyway, and guesses at
#: it are limited; a scheduler that somebody else set up may have a date there.
SHORTEST_CRON_SECRET = 8
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@attrs.frozen(repr=False)
class Secret:
    """A text that never shows itself; read `value` where it is needed."""

    value: str = ""

    def __repr__(self) -> str:
        return "Secret('***')" if self.value else "Secret('')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.value)


def option(
    env: str,
    meaning: str,
    default: Any = None,
    *,
    convert: Callable[[Any], Any] | None = None,
    secret: bool = False,
    also: tuple[str, ...] = (),
) -> Any:
    """
    Declare a setting.

    Args:
        env: Its environment variable.
        meaning: Description for people.
        default: Its value if unset.
        convert: Converts a text (or a typed argument) to the value, or raises
            ValueError with a reason.
        secret: Whether to mask it.
        also: Other variables to read if the first is unset.
    """
    return attrs.field(
        default=default,
        repr=not secret,
        metadata={
            "env": (env, *also),
            "help": meaning,
            "secret": secret,
            "convert": convert or (_boolean if isinstance(default, bool) else _text),
        },
    )


def secret_option(env: str, meaning: str, *, also: tuple[str, ...] = ()) -> Any:
    """Declare a secret text."""
    return option(env, meaning, Secret(), convert=_secret, secret=True, also=also)


def names(field: Any) -> tuple[str, ...]:
    """Return the variables of a field."""
    env: tuple[str, ...] = field.metadata["env"]
    return env


def words(kind: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a converter from a comma-separated text (or a list) to a tuple."""

    def convert(value: Any) -> tuple[Any, ...]:
        if _is_number(value):
            value = str(value)
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (tuple, list)):
            raise ValueError("must be a comma-separated list")
        clean = [p.strip() if isinstance(p, str) else p for p in parts]
        return tuple(p if isinstance(p, Secret) else kind(p) for p in clean if p != "")

    return convert


def in_range(kind: type, low: float, high: float) -> Callable[[Any], Any]:
    """Return a converter to a number between two bounds."""

    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError("must be a number")
        try:
            number = kind(value)
        except (ValueError, OverflowError):
            raise ValueError("must be a number") from None
        # NaN compares false, so it is out of range.
        if not low <= number <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return number

    return convert


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a converter that accepts only these words."""

    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return convert


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        # Hosts' config files turn digits into numbers; an integer can be turned back.
        return str(value)
    if isinstance(value, float):
        # A float can't: 1e5 and 100000.0 were different texts.
        raise ValueError("must be text, not a number with a point or exponent")
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value.strip()


def _secret(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(_text(value))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError("must be 1 or 0")


def declared(cls: type) -> list[Any]:
    """Return the fields of a class that are settings."""
    return [f for f in attrs.fields(cls) if "env" in f.metadata]


def convert_all(settings: Any) -> list[str]:
    """Convert every field in place (it is being built) and return the problems."""
    problems = []
    for field in declared(type(settings)):
        value = getattr(settings, field.name)
        try:
            converted = field.metadata["convert"](value)
        except ValueError as error:
            problems.append(f"{names(field)[0]} ({field.name}): {error}")
            # The others are still checked together, so that all problems are reported
            # at once.
            converted = field.default
        object.__setattr__(settings, field.name, converted)
    return problems
