# SPDX-License-Identifier: MIT
"""The OpenAPI document is the table of routes."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import validate
from support.site import Site
from support.size import with_the_first_python

from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi.openapi import codes_of, document, status_of


@with_the_first_python
def test_document_is_valid_openapi():
    """The validator of the OpenAPI 3.1 meta schema finds nothing."""
    validate(document("/enroll"))


@pytest.mark.parametrize("prefix", ["", "/enroll"])
def test_served_document_names_its_mount(prefix):
    """What is served is made from the routes, under the path of the mount."""
    served = Site(prefix).call("GET", "/openapi.json").json
    assert served == json.loads(json.dumps(document(prefix)))
    assert served["servers"] == [{"url": prefix or "/"}]


def test_every_route_and_code_is_described():
    """Each route has an operation; each of its codes stands under its status."""
    paths = document()["paths"]
    for route in ROUTES:
        path = route.path.replace("<", "{").replace(">", "}").replace("path:", "")
        for method in route.methods:
            answers = paths[path][method.lower()]["responses"]
            for code in codes_of(route):
                told = answers[str(status_of(code))]
                assert code in told["x-codes"], (route.name, code)
            assert set(map(str, route.answers)) <= set(answers)
