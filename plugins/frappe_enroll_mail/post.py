# SPDX-License-Identifier: MIT
"""
One mail to one SMTP server, and what its answer means.

| Answer | Outcome |
|---|---|
| 2xx to the end of the data, whatever comes after | sent |
| 4xx, no connection, not done in time | retry |
| 5xx about this mail | dead |
| 530, 534, 535, 538, no TLS, a wrong certificate | configuration: it waits |

Where the connection breaks after the data and before the answer, nobody knows whether
the server has the mail: it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.connections import connect, tls
from frappe_enroll_sdk.deadline import in_time, within
from frappe_enroll_sdk.errors import ConfigurationError
from frappe_enroll_sdk.outcomes import Dead, Done, Outcome, Retry

from .addresses import without_addresses
from .settings import PREFIX


if TYPE_CHECKING:
    from frappe_enroll_sdk.deadline import Call

    from .settings import MailSettings

logger = logging.getLogger(__name__)

#: RFC 4954 and related: the server wants another login, or another encryption.
_LOGIN_CODES = frozenset({530, 534, 535, 538})
_PERMANENT = 500
#: Most bytes of a server's greeting and answers in one dialogue.
_MAX_BYTES = 1_000_000


class _SMTP(smtplib.SMTP):
    """An SMTP dialogue that respects the current call's deadline."""

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        return connect((host, port), timeout)


class _SMTPOverTLS(smtplib.SMTP_SSL):
    """The same, over TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        link = connect((host, port), timeout)
        return self.context.wrap_socket(link, server_hostname=host)


def send(message: EmailMessage, settings: MailSettings) -> Outcome:
    """
    Send a mail; `timeout_s` limits the whole dialogue.

    Returns:
        Done once the server has accepted it for at least one recipient, Retry, or Dead
            with a cause that quotes no address.

    Raises:
        ConfigurationError: The settings do not suit the server: all mails wait.
    """
    with within(settings.timeout_s, _MAX_BYTES) as call:
        return _send(message, settings, call)


def _send(message: EmailMessage, settings: MailSettings, call: Call) -> Outcome:
    try:
        with _connected(settings) as server:
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        return _of_codes(list(error.recipients.values()))
    except smtplib.SMTPResponseException as error:
        return _of_code(error.smtp_code, error.smtp_error)
    except smtplib.SMTPNotSupportedError as error:
        raise ConfigurationError(
            f"the mail server lacks a feature: {error}", field=f"{PREFIX}SECURITY"
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"the mail server's certificate: {error.verify_message}",
            field=f"{PREFIX}CA_FILE",
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        why = call.cause_of(error) if call.has_ended else _named(error)
        return Retry(cause=f"the mail server can't be reached: {why}")
    if refused:
        # The accepted recipients have it: if sent again, they would get it twice.
        logger.warning("mail refused for some", extra={"refused": len(refused)})
        return Done("sent_to_some")
    return Done("sent")


@contextlib.contextmanager
def _connected(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    server = _connect(settings)
    try:
        if settings.security == "starttls":
            server.starttls(context=_tls(settings))
        if settings.user:
            server.login(settings.user, settings.password.value)
        yield server
        with contextlib.suppress(smtplib.SMTPException, OSError):
            # It has the mail: its answer to QUIT changes nothing.
            server.quit()
    finally:
        server.close()


def _connect(settings: MailSettings) -> smtplib.SMTP:
    place, timeout_s = (settings.host, settings.real_port), settings.timeout_s
    # smtplib would look up the local host name itself, however long that takes.
    name = in_time(socket.getfqdn)
    if settings.security == "tls":
        return _SMTPOverTLS(*place, name, timeout=timeout_s, context=_tls(settings))
    return _SMTP(*place, name, timeout=timeout_s)


def _tls(settings: MailSettings) -> ssl.SSLContext:
    return tls(ssl.create_default_context(cafile=settings.ca_file or None))


def _of_codes(answers: list[tuple[int, bytes]]) -> Outcome:
    """No recipient was accepted: retry if one may be accepted later."""
    code, words = min(answers)
    return _of_code(code, words)


def _of_code(code: int, words: bytes | str) -> Outcome:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    cause = f"the mail server said {code} {without_addresses(text)}"[:300]
    if code in _LOGIN_CODES:
        raise ConfigurationError(cause, field=f"{PREFIX}USER")
    return Dead(cause) if code >= _PERMANENT else Retry(cause=cause)


def _named(error: Exception) -> str:
    # The text of an OSError may contain host names, but never a learner's name.
    return f"{type(error).__name__}: {without_addresses(str(error))}"[:200]
