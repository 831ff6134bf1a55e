# SPDX-License-Identifier: MIT
"""The OpenAPI document is made from the routes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from openapi_spec_validator import validate
from support.site import Site
from support.size import with_the_first_python

from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal.openapi import codes_of, document, status_of, text_of


#: Kinds of components that no operation may spell out.
KINDS = ("responses", "parameters", "requestBodies")


def followed(found, part):
    """Return what a reference refers to."""
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def inlined(node):
    """Yield each schema that is spelt out, as text, whether named or not."""
    if isinstance(node, dict):
        # Of two keywords or fewer, a reference saves nothing.
        if len({"type", "enum", "anyOf"} & set(node)) and len(node) > 2:
            yield json.dumps(node, sort_keys=True)
        for value in node.values():
            yield from inlined(value)
    elif isinstance(node, list):
        for value in node:
            yield from inlined(value)


@with_the_first_python
def test_document_is_valid_openapi():
    """The validator of the OpenAPI 3.1 meta schema finds nothing."""
    validate(document(ROUTES, "/enroll"))


@pytest.mark.parametrize("prefix", ["", "/enroll"])
@pytest.mark.parametrize("mount", ["wsgi", "flask"])
def test_served_document_names_its_mount(mount, prefix):
    """What is served is made from the routes, under the path of the mount."""
    served = Site(prefix, mount=mount).call("GET", "/openapi.json").json
    assert served == json.loads(text_of(ROUTES, prefix))
    assert served["servers"] == [{"url": prefix or "/"}]


@pytest.mark.parametrize("mount", ["wsgi", "flask"])
def test_known_document_is_not_sent_again(mount):
    """With the ETag of the last answer there is no body; with another one there is."""
    site = Site("/enroll", mount=mount)
    first = site.call("GET", "/openapi.json")
    tag = first.headers["ETag"]
    again = site.call("GET", "/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    other = site.call("GET", "/openapi.json", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, first.data)
    elsewhere = Site("/shop", mount=mount).call("GET", "/openapi.json")
    assert elsewhere.headers["ETag"] != tag


def test_every_route_and_code_is_described():
    """Each route has an operation; each of its codes stands under its status."""
    found = document(ROUTES)
    for route in ROUTES:
        path = route.path.replace("<", "{").replace(">", "}").replace("path:", "")
        for method in route.methods:
            answers = found["paths"][path][method.lower()]["responses"]
            for code in codes_of(route):
                answer = followed(found, answers[str(status_of(code))])
                assert code in answer["x-codes"], (route.name, code)
            assert set(map(str, route.answers)) <= set(answers)


def test_every_shape_stands_once():
    """Operations refer to components, and no two components are alike."""
    found = document(ROUTES)
    for operations in found["paths"].values():
        for operation in operations.values():
            parts = [*operation["responses"].values(), *operation.get("parameters", ())]
            parts += [operation[n] for n in ("requestBody",) if n in operation]
            assert all(set(part) == {"$ref"} for part in parts), operation
    for kind in KINDS:
        shapes = [
            json.dumps(s, sort_keys=True) for s in found["components"][kind].values()
        ]
        assert len(shapes) == len(set(shapes)), kind
    schemas = {k: v for k, v in found["components"].items() if k != "securitySchemes"}
    twice = [shape for shape, n in Counter(inlined(schemas)).items() if n > 1]
    assert not twice


def test_every_component_is_used():
    """A name that nothing refers to is left over."""
    found = document(ROUTES)
    text = json.dumps(found)
    for kind, parts in found["components"].items():
        for name in parts if kind != "securitySchemes" else ():
            assert f'"#/components/{kind}/{name}"' in text, (kind, name)


def test_document_is_short():
    """With one component for each shape a person can still read it."""
    assert len(text_of(ROUTES).splitlines()) < 12_000
