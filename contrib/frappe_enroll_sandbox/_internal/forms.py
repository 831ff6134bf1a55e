# SPDX-License-Identifier: MIT
"""Decode Stripe's forms: ``a[b][0][c]=1`` becomes nested dicts and lists."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl


def decode_form(text: str) -> dict[str, Any]:
    """Return the nested parameters of a form body or a query string."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node, key = tree, head
        for part in rest:
            node = node.setdefault(key, {})
            key = part or str(len(node))
        node[key] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(node: Any) -> Any:
    """Turn dicts with the keys 0, 1, 2, … into lists."""
    if not isinstance(node, dict):
        return node
    values = {key: _lists(value) for key, value in node.items()}
    if values and list(values) == [str(n) for n in range(len(values))]:
        return list(values.values())
    return values
