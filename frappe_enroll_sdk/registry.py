# SPDX-License-Identifier: MIT
"""Backends by name: lazy, so that a driver is imported only when it is chosen."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import ConfigurationError, DuplicateBackendError, UnknownBackendError


__all__: tuple[str, ...] = ()  # internal


KINDS = ("storage", "payments", "lms")

#: This distribution's backends, and the extra that installs their driver.
BUILT_IN_EXTRAS = {
    ("storage", "mongo"): "mongo",
    ("storage", "sql"): "sql",
    ("payments", "stripe"): "stripe",
    ("lms", "frappe"): "lms",
}


def check_kind(plugin: str, kind: str) -> None:
    """Reject an unknown kind of backend."""
    if kind not in KINDS:
        raise ConfigurationError(f"{plugin}: no such kind of backend: {kind!r}")


class Registry:
    """The backend names that plugins claim; owned by `Plugins`."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def add(self, plugin: str, kind: str, name: str, target: str) -> None:
        """Record a plugin's claim on a name."""
        self._targets.setdefault((kind, name), []).append((plugin, target))

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the claimed names."""
        return tuple(
            sorted(
                n for (k, n), claims in self._targets.items() if k == kind and claims
            )
        )

    def create(self, kind: str, name: str, *args: Any) -> Any:
        """
        Build a backend by its class's ``from_settings``.

        Raises:
            UnknownBackendError: No plugin provides it; the text lists the known names.
            DuplicateBackendError: More than one plugin claims it.
            MissingExtraError: Its driver is not installed.
        """
        claims = self._targets.get((kind, name), [])
        if not claims:
            known = ", ".join(self.names(kind)) or "none"
            raise UnknownBackendError(
                f"FRAPPE_ENROLL_{kind.upper()}: no plugin brings {name!r} "
                f"(known: {known}); `frappe-enroll plugins` says why",
                field=f"FRAPPE_ENROLL_{kind.upper()}",
            )
        if len(claims) > 1:
            plugins = ", ".join(plugin for plugin, _ in claims)
            raise DuplicateBackendError(
                f"FRAPPE_ENROLL_{kind.upper()}: {name!r} is claimed by {plugins}; "
                "name the wanted ones in FRAPPE_ENROLL_PLUGINS",
                field="FRAPPE_ENROLL_PLUGINS",
            )
        module, _, attribute = claims[0][1].partition(":")
        backend = getattr(importlib.import_module(module), attribute)
        return backend.from_settings(*args)
