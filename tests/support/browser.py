# SPDX-License-Identifier: MIT
"""An operator's browser before the dashboard."""

from __future__ import annotations

from support.site import OPERATOR


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
SAME = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """A browser that has signed in."""

    def __init__(self, site, token=OPERATOR):
        self.site, self.cookie = site, {}
        self.signed_in = self.post("/sign-in", token=token)
        header = self.signed_in.headers.get("Set-Cookie", "")
        self.cookie = {"Cookie": header.partition(";")[0]}

    def get(self, path, **query):
        """Open a page."""
        headers = self.cookie | SAME
        return self.site.call("GET", f"/admin{path}", headers=headers, query=query)

    def post(self, path, headers=None, **fields):
        """Send a form."""
        headers = self.cookie | (SAME if headers is None else headers)
        return self.site.call("POST", f"/admin{path}", headers=headers, data=fields)
