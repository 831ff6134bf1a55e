# SPDX-License-Identifier: MIT
"""Where settings are read from: every source gathered, every problem at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .options import declared, names


_PREFIX = "FRAPPE_ENROLL_"
#: Variables with our prefix that are used elsewhere.
_NOT_OURS = {"FRAPPE_ENROLL_CONFIG"}
#: Prefixes of plugins' variables: those that ship with the SDK, and one for all others.
#: The plugin refuses names with its prefix that it does not declare.
PLUGIN_PREFIXES = (
    *("FRAPPE_ENROLL_MAIL_", "FRAPPE_ENROLL_ALERTS_"),
    "FRAPPE_ENROLL_PLUGIN_",
)


#: Variables that Kubernetes sets in each pod for every Service; those of one named
#: frappe-enroll or frappe-enroll-mail have our prefix.
_SERVICE_LINK = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


def is_service_link(name: str, value: str) -> bool:
    """Tell whether a variable is a Kubernetes Service's (or a Docker link's)."""
    if name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value):
        return True
    return _SERVICE_LINK.fullmatch(name) is not None


def gather(
    cls: type,
    environ: Mapping[str, str],
    config: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return values and sources by field name, and any problems."""
    fields = declared(cls)
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
    """Return the plugins' settings (the last source wins), and any problems."""
    found: dict[str, Any] = {}
    problems = []
    for given in givens:
        for key in map(str, given):
            name = key.removesuffix("_FILE")
            if not key.startswith(PLUGIN_PREFIXES) or given[key] in (None, ""):
                continue
            # Only the plugin knows whether a name ending in _FILE is one of its own.
            found[key] = given[key]
            if name != key and given.get(name) in (None, ""):
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
    """Report unknown keys with our prefix; other keys belong to the host."""
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
