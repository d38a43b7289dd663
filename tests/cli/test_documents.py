"""Every command's --json document has a published schema, which says what may be in it and nothing else."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from tests.support import documents


def test_every_command_has_a_schema_and_no_other():
    schemas = documents.schemas()
    Draft202012Validator.check_schema(schemas)
    assert set(schemas["$defs"]) == {name.replace(" ", "-") for name in documents.commands()} | {documents.ERROR}


@pytest.mark.parametrize("name", sorted(documents.commands()))
def test_an_object_of_a_schema_says_all_that_it_may_hold(name):
    top = documents.schemas()["$defs"][name.replace(" ", "-")]
    assert top["type"] == "object"
    assert top["additionalProperties"] is False
    assert set(top["required"]) <= set(top["properties"])


def test_a_document_of_another_form_is_refused():
    found = {"folder": "v", "vault": "0" * 32, "steward": "ann", "time_zone": "UTC"}
    documents.check(["init", "v"], json.dumps(found))
    for wrong in ({**found, "more": 1}, {**found, "vault": 1}, {"folder": "v"}):
        with pytest.raises(AssertionError):
            documents.check(["--as", "init", "--json", "init", "v"], json.dumps(wrong))


def test_a_failure_is_an_error_whatever_the_command(shell):
    assert shell.try_("project show demo --json").error
