# SPDX-License-Identifier: MIT
"""
What stripe-python sends its requests by: requests, within one total time per call.

Its own client bounds each wait for a byte and follows redirects: a Stripe that drips
holds a thread for as long as it likes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import requests
import stripe
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from frappe_enroll_sdk.connections import Fencing
from frappe_enroll_sdk.deadline import within


_CONNECT_S = 5.0
_CHUNK = 16_384


class _Adapter(Fencing, HTTPAdapter):
    """Connections that respect the current call's deadline."""

    new_context = staticmethod(create_urllib3_context)


class Transport(stripe.HTTPClient):
    """
    An HTTP client for `stripe.StripeClient`. Thread-safe.

    Each thread of each process has its own connections, which are kept open.
    """

    name = "requests"

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._local = threading.local()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        """
        Send a request; return redirects instead of following them.

        Raises:
            APIConnectionError: No complete answer arrived in time, or it is too large.
        """
        with within(self._timeout_s) as call:
            try:
                with self._session().request(
                    method,
                    url,
                    headers=dict(headers or {}),
                    data=post_data,
                    timeout=(_CONNECT_S, self._timeout_s),
                    allow_redirects=False,
                    stream=True,
                    verify=stripe.ca_bundle_path,
                ) as answer:
                    body = call.join(answer.iter_content(_CHUNK))
            # An OSError: the deadline passed, or the answer is too large.
            except (requests.exceptions.RequestException, OSError) as error:
                words = call.cause_of(error)
                raise stripe.APIConnectionError(words) from error  # type: ignore[no-untyped-call]  # untyped in stripe-python
        return body, answer.status_code, answer.headers

    def close(self) -> None:
        """Close this thread's connections; the next request opens new ones."""
        session = getattr(self._local, "session", None)
        if session is not None:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None or self._local.pid != os.getpid():
            session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, _Adapter())
            self._local.session, self._local.pid = session, os.getpid()
        return session
