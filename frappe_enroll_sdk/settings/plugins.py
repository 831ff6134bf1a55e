# SPDX-License-Identifier: MIT
"""
Settings of plugins: declared by the plugin, gathered with ours.

A plugin declares an attrs class whose fields are made by `option` and `secret_option`
(``options.py``), takes `settings` in its `register_jobs`, and calls `load_part`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeVar

import attrs

from ..errors import SettingsError
from .options import convert_all, names


if TYPE_CHECKING:
    from .core import Settings


__all__ = ("load_part",)


T = TypeVar("T", bound=attrs.AttrsInstance)


def load_part(cls: type[T], settings: Settings | None, prefix: str) -> T:
    """
    Read a plugin's own settings.

    Args:
        cls: An attrs class whose fields are made by `option` and `secret_option`.
        settings: The SDK's, as passed to `register_jobs`; None = all defaults.
        prefix: Prefix of the plugin's variables. Undeclared variables with this prefix
            are refused.

    Raises:
        SettingsError: Names all invalid variables.
    """
    given = settings.plugin_settings if settings is not None else {}
    fields = [f for f in attrs.fields(cls) if "env" in f.metadata]
    declared = {name: field.name for field in fields for name in names(field)}
    problems = [
        f"{key}: unknown setting"
        for key in sorted(map(str, given))
        if key.startswith(prefix) and not _is_known(key, declared, given)
    ]
    part = cls(**{declared[key]: given[key] for key in declared if key in given})
    problems += convert_all(part)
    check = getattr(part, "contradictions", None)
    if check is not None:
        problems += check()
    if problems:
        raise SettingsError(problems)
    return part


def _is_known(key: str, declared: Collection[str], given: Collection[str]) -> bool:
    """Tell whether a key is declared, names a file for one, or was read from a file."""
    path = f"{key}_FILE"
    return bool({key, key.removesuffix("_FILE")} & {*declared}) or (
        path in declared and path in given
    )
