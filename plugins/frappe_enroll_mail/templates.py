# SPDX-License-Identifier: MIT
"""The templates: ours, and a host's in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from frappe_enroll_sdk.errors import RejectedError

from .settings import PREFIX, TEMPLATES


#: The files of each template: `enrolled` has these three.
PARTS = (".subject.txt", ".txt", ".html")


@attrs.frozen(kw_only=True)
class Rendered:
    """A rendered template."""

    subject: str
    text: str
    html: str


class Templates:
    """
    All templates, compiled on creation. Thread-safe.

    HTML is escaped automatically, text is not. An undefined name is an error, not an
    empty string.
    """

    def __init__(self, folder: str = "") -> None:
        """
        Load them.

        Args:
            folder: The host's templates: each file replaces ours of the same name.

        Raises:
            TemplateError: One can't be compiled; the text names file and line.
        """
        ours = PackageLoader("frappe_enroll_mail")
        loaders = [FileSystemLoader(folder), ours] if folder else [ours]
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in TEMPLATES:
            for part in PARTS:
                self._environment.get_template(f"{name}{part}")

    def render(self, name: str, values: Mapping[str, Any]) -> Rendered:
        """
        Return subject, text and HTML of a template.

        Raises:
            RejectedError: It uses an undefined name (a host's template may).
        """
        try:
            subject = self._part(name, ".subject.txt", values).strip()
            more = {**values, "subject": subject}
            return Rendered(
                subject=subject,
                text=self._part(name, ".txt", more),
                html=self._part(name, ".html", more),
            )
        except TemplateError as error:
            raise RejectedError(
                f"{PREFIX}TEMPLATES: {name}: {error}", code="mail_template"
            ) from error

    def _part(self, name: str, part: str, values: Mapping[str, Any]) -> str:
        return self._environment.get_template(f"{name}{part}").render(values)
