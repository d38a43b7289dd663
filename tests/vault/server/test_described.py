"""The interface is as it describes itself: requests made from its own OpenAPI document, valid ones and others."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened

EXAMPLES = 12  # of each operation
NARROWER = [positive_data_acceptance]
"""What a question may be is told by its parts together, and what an address may be by the whole: a description of parameters cannot say either."""


@pytest.mark.long
def test_every_answer_is_one_that_is_described(tmp_path):
    served.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        token = served.issue(s, "rita", *TokenScope)
    with served.serving(tmp_path / "v", token=token) as it:
        schema = schemathesis.openapi.from_url(f"{it.url}/v1/openapi.json")
        for operation in schema.get_all_operations():
            call = operation.ok()

            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
            )
            @given(case=call.as_strategy())
            def held(case):
                answer = case.call(headers={"Authorization": f"Bearer {token}"})
                case.validate_response(answer, excluded_checks=NARROWER)
                assert answer.status_code != 500

            held()


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/livez", "GET, HEAD"),
        ("/v1/requests", "GET, POST"),
        ("/v1/releases/rel-1/files/a", "GET, HEAD"),
        ("/v1/sys/unseal", "POST"),
        ("/variants/served/cohort", "GET, POST"),
        ("/console/login", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_is_not_for_an_address_is_told_all_that_are(server, path, methods):
    answer = server.client.delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(("wait", "told"), [("31", "query.wait: less_than_equal 30"), ("-1", "query.wait: greater_than_equal 0")])
def test_what_is_beyond_a_bound_is_told_the_bound(server, wait, told):
    asked = {"dataset": "cohort", "since": "x", "wait": wait}
    assert server.client.get("/v1/projects/served/panels/pgx/changes", params=asked).json()["title"] == told


def test_the_description_says_where_a_token_is_needed_and_what_a_problem_is(server):
    document = server.client.get("/v1/openapi.json").json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    said = {path: one for path, several in document["paths"].items() for one in several.values()}
    open_ones = {path for path, one in said.items() if "security" not in one}
    assert open_ones == {"/v1/sys/health", "/v1/sys/seal-status", "/v1/sys/unseal", "/v1/sys/seal", "/variants/service-info"}
    for path, one in said.items():
        if path.startswith("/v1/"):
            content = one["responses"]["403"]["content"]
            assert list(content) == ["application/problem+json"], path
            assert set(content["application/problem+json"]["schema"]["properties"]) == {"type", "title", "status", "code"}
