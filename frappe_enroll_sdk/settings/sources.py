# SPDX-License-Identifier: MIT
"""How settings are declared, gathered and converted, every problem at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs


_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_PREFIX = "FRAPPE_ENROLL_"
#: Variables with our prefix that are read elsewhere.
_NOT_OURS = {"FRAPPE_ENROLL_CONFIG"}
#: Prefixes of variables that plugins read: of those that ship with the SDK, and one for
#: anybody's. A name that no plugin declares is the plugin's to refuse.
PLUGIN_PREFIXES = (
    *("FRAPPE_ENROLL_MAIL_", "FRAPPE_ENROLL_ALERTS_"),
    "FRAPPE_ENROLL_PLUGIN_",
)


#: What Kubernetes puts into each pod for a Service, whatever its name; so one named
#: frappe-enroll, or frappe-enroll-mail, speaks with our prefix.
_SERVICE_LINK = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


def is_service_link(name: str, value: str) -> bool:
    """Tell whether a variable is a Kubernetes Service's (or a Docker link's)."""
    if name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value):
        return True
    return _SERVICE_LINK.fullmatch(name) is not None


@attrs.frozen(repr=False)
class Secret:
    """A text that never shows itself; take `value` where it is used."""

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
        env: Its variable.
        meaning: Words for people.
        default: Its value where nobody sets it.
        convert: Makes the value of a text (or of a typed argument), or raises
            ValueError with a reason.
        secret: Whether it is masked.
        also: Other variables that are read where the first is unset.
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
    """Return a converter of a comma-separated text (or a list) to a tuple."""

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
        # NaN is within nothing.
        if not low <= number <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return number

    return convert


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a converter that takes only these words."""

    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return convert


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        # Hosts' configs make numbers of what looks like one; a whole one is itself.
        return str(value)
    if isinstance(value, float):
        # 1e5 and 100000.0 were two texts: which one is lost.
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


def _fields(cls: type) -> list[Any]:
    return [f for f in attrs.fields(cls) if "env" in f.metadata]


def convert_all(settings: Any) -> list[str]:
    """Convert every field in place (it is being built) and return the problems."""
    problems = []
    for field in _fields(type(settings)):
        value = getattr(settings, field.name)
        try:
            converted = field.metadata["convert"](value)
        except ValueError as error:
            problems.append(f"{names(field)[0]} ({field.name}): {error}")
            # The others are still looked at together, so that all is told at once.
            converted = field.default
        object.__setattr__(settings, field.name, converted)
    return problems


def gather(
    cls: type,
    environ: Mapping[str, str],
    config: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return values and sources by field name, and the problems met on the way."""
    fields = _fields(cls)
    environ = {k: v for k, v in environ.items() if not is_service_link(k, v)}
    toml, problems = _read_toml(environ)
    for source, given in (("argument", arguments), ("host", config), ("TOML", toml)):
        problems += _unknown(fields, source, given)
    problems += _unknown_variables(fields, environ)
    values, trouble = _gather_plugins((toml, environ, config, arguments))
    problems += trouble
    sources: dict[str, str] = {}
    for field in fields:
        for source, given in (
            ("argument", arguments),
            ("host", config),
            ("environment", environ),
            ("file", toml),
        ):
            value, trouble = _look_up(field, given, environ=source == "environment")
            problems += trouble
            if value is not None:
                values[field.name], sources[field.name] = value, source
                break
    return values, sources, problems


def _gather_plugins(
    givens: tuple[Mapping[str, Any], ...],
) -> tuple[dict[str, Any], list[str]]:
    """Return what is set for plugins (the last source wins), and the problems."""
    found: dict[str, Any] = {}
    problems = []
    for given in givens:
        for key in map(str, given):
            name = key.removesuffix("_FILE")
            if not key.startswith(PLUGIN_PREFIXES) or given[key] in (None, ""):
                continue
            if name == key:
                found[name] = given[key]
            elif given.get(name) in (None, ""):
                found[name], trouble = _read_value(key, given[key])
                problems += trouble
    return {"plugin_settings": found} if found else {}, problems


def _read_value(key: str, path: str) -> tuple[str | None, list[str]]:
    try:
        return Path(path).read_text(encoding="utf-8").strip(), []
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"{key}: can't be read ({type(error).__name__})"]


def _look_up(
    field: Any, given: Mapping[str, Any], *, environ: bool
) -> tuple[Any, list[str]]:
    keys = names(field) if environ else (field.name, *names(field))
    for key in keys:
        if given.get(key) not in (None, ""):
            return given[key], []
        path = given.get(f"{key}_FILE")
        if path:
            return _read_value(f"{key}_FILE", path)
    return None, []


def _unknown(fields: list[Any], source: str, given: Mapping[str, Any]) -> list[str]:
    """Name keys that mean nothing; a host's own keys without our prefix are its own."""
    known = {f.name for f in fields} | {n for f in fields for n in names(f)}
    known |= {f"{name}_FILE" for name in known}
    return [
        f"{key}: unknown setting ({source})"
        for key in given
        if key not in known
        and (source != "host" or str(key).startswith(_PREFIX))
        and key not in _NOT_OURS
        and not str(key).startswith(PLUGIN_PREFIXES)
    ]


def _unknown_variables(fields: list[Any], environ: Mapping[str, str]) -> list[str]:
    ours = {k: v for k, v in environ.items() if k.startswith(_PREFIX)}
    return _unknown(fields, "environment", ours)


def _read_toml(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    path = environ.get("FRAPPE_ENROLL_CONFIG")
    if not path:
        return {}, []
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, [f"FRAPPE_ENROLL_CONFIG: can't be read ({type(error).__name__})"]
    table = data.get("frappe_enroll", data)
    return (table, []) if isinstance(table, dict) else ({}, ["TOML: not a table"])
