# SPDX-License-Identifier: MIT
"""What a handler gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from werkzeug.wrappers import Request


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

    from .access import Operator
    from .routes import Route
    from .surface import Surface

#: Where an adapter says under which path the surface is mounted.
MOUNT = "frappe_enroll.mount"


@attrs.define(kw_only=True)
class Call:
    """
    One request that was let in, its parts validated.

    Attributes:
        surface: The surface that answers.
        route: The row of the table.
        request: The request.
        arguments: Parts of the path, by name.
        fields: The JSON body or form, validated.
        query: The query parameters, validated and converted.
        who: The operator, on the admin surface.
        key: What stands for the caller's Idempotency-Key, or None.
    """

    surface: Surface
    route: Route
    request: Request
    arguments: Mapping[str, str]
    fields: dict[str, Any] = attrs.field(factory=dict)
    query: dict[str, Any] = attrs.field(factory=dict)
    who: Operator | None = None
    key: str | None = None

    @property
    def sdk(self) -> EnrollSDK:
        """The SDK."""
        return self.surface.sdk

    @property
    def mount(self) -> str:
        """Path under which the surface is mounted, without a slash at its end."""
        told = self.request.environ.get(MOUNT)
        return (self.request.root_path if told is None else str(told)).rstrip("/")

    @property
    def operator(self) -> Operator:
        """The operator of a call that needs one."""
        if self.who is None:
            message = f"{self.route.name} has no access rule that brings an operator"
            raise AssertionError(message)
        return self.who
