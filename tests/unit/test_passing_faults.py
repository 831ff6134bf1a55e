# SPDX-License-Identifier: MIT
"""Passing faults of others that look like refusals for good: each waits."""

from __future__ import annotations

import json

import pytest
import requests
from dns import resolver
from pymongo.errors import ConfigurationError as MongoConfigurationError
from requests import Response

from frappe_enroll_cli.main import _exit_code
from frappe_enroll_lms.classify import Meaning, classify
from frappe_enroll_lms.fence import _hide_words, _target, _type_of
from frappe_enroll_mongo.failures import our_errors
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BlindKeyError,
    SettingsError,
    StorageUnavailableError,
)


@pytest.mark.parametrize("status", [400, 402, 404, 406, 409, 412, 417, 422, 451, 498])
@pytest.mark.parametrize("is_json", [True, False])
def test_answer_without_frappes_class_is_nobodys_word(status, is_json):
    """A gateway's JSON, a proxy's page; a page of 404 may be an unknown site."""
    found = classify(status, None, is_json=is_json, is_frappes_page=False)
    wanted = Meaning.UNCLEAR
    if status == 404 and not is_json:
        wanted = Meaning.CONFIGURATION
    assert found.meaning is wanted


@pytest.mark.parametrize("status", [405, 413])
def test_pages_are_told_apart_by_who_made_them(status):
    """Frappe leaves these to Werkzeug; a page for maintenance answers 405, too."""
    for own, wanted in ((True, Meaning.PERMANENT), (False, Meaning.UNCLEAR)):
        told = classify(status, None, is_json=False, is_frappes_page=own)
        assert told.meaning is wanted


@pytest.mark.parametrize("exc_type", ["QueryTimeoutError", "QueryDeadlockError"])
@pytest.mark.parametrize("verb", ["create_user", "delete_enrollment"])
def test_lock_that_was_waited_for_in_vain_passes(exc_type, verb):
    """Rolled back: nothing was written, and another try may go well."""
    assert classify(500, exc_type, is_json=True, verb=verb).meaning is Meaning.TRANSIENT


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"exc_type": "PermissionError"}, "PermissionError"),
        ({"errors": [{"type": "DoesNotExistError"}]}, "DoesNotExistError"),
        ({"exc": "[]"}, "unknown"),
        ({"errors": ["no route"]}, None),
        ({"errors": []}, None),
        ({"exc_type": 5}, None),
        ({"error": {"code": 404}}, None),
    ],
)
def test_class_is_read_of_both_versions_of_the_api(body, told):
    """And of nobody else's."""
    assert _type_of(body) == told


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://lms.example.com/login?email=a@b.c", " (https://lms.example.com)"),
        ("https://user:pw@lms.example.com:8443/x", " (https://lms.example.com:8443)"),
        ("/relative/path", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_redirects_target_tells_nothing_secret(location, told):
    """Scheme, host and port; no path, no query, no login."""
    response = Response()
    response.headers["Location"] = location
    assert _target(response) == told


@pytest.mark.parametrize(
    "cause",
    [
        resolver.NoNameservers(),
        resolver.LifetimeTimeout(timeout=1.0, errors=[]),
        resolver.YXDOMAIN(),
    ],
)
def test_dns_that_does_not_answer_is_unavailability(cause):
    """The driver calls it a wrong configuration: 69, not 78."""
    with pytest.raises(StorageUnavailableError) as caught, our_errors():
        raise MongoConfigurationError("dns") from cause
    assert _exit_code(caught.value) == 69


@pytest.mark.parametrize("cause", [resolver.NXDOMAIN(), ValueError("no host"), None])
def test_name_that_there_is_not_is_a_setting(cause):
    """An answer, or a URI that is none."""
    with pytest.raises(SettingsError) as caught, our_errors():
        raise MongoConfigurationError("dns") from cause
    assert _exit_code(caught.value) == 78


def test_somebody_elses_refusal_does_not_end_a_service_for_good():
    """78 is what systemd gives up at: our settings only."""
    assert _exit_code(BackendRefusedError("403")) == 69
    assert _exit_code(BlindKeyError("sees nothing")) == 78


def test_words_of_a_failed_call_are_hidden():
    """They hold the URL, and with it an address."""
    error = requests.exceptions.ConnectionError("http://x/ada@example.com")
    _hide_words(error)
    assert "ada@" not in json.dumps(str(error))
