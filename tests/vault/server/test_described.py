"""The interface is as it describes itself: requests made from its own OpenAPI document, valid ones and others."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened

EXAMPLES = 25  # of each operation
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
