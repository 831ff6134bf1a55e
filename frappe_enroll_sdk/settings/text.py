# SPDX-License-Identifier: MIT
"""Settings as text for people: what is set and where it comes from, and a template."""

from __future__ import annotations

from typing import Any

import attrs

from .core import Settings
from .options import names


def describe(settings: Settings) -> list[tuple[str, str, str, str]]:
    """Return (variable, value, source, meaning) for each setting, secrets masked."""
    plugins = [
        (name, "***", "plugin", "read by the plugin with this prefix")
        for name in sorted(settings.plugin_settings)
    ]
    return plugins + [
        (
            names(field)[0],
            "***"
            if field.metadata["secret"] and getattr(settings, field.name)
            else _plain(getattr(settings, field.name)),
            settings.sources.get(field.name, "default"),
            field.metadata["help"],
        )
        for field in attrs.fields(Settings)
        if "env" in field.metadata
    ]


def template() -> str:
    """Return an environment file with every variable, its meaning and its default."""
    lines = []
    for field in attrs.fields(Settings):
        if "env" in field.metadata:
            default = "" if field.metadata["secret"] else _plain(field.default)
            lines += [
                f"# {field.metadata['help']}",
                f"#{names(field)[0]}={default}",
                "",
            ]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)
