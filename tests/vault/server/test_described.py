"""The interface is as it describes itself: requests made from its own OpenAPI document, valid ones and others."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.support import served

EXAMPLES = 25  # of each operation


@pytest.mark.long
def test_every_answer_is_one_that_is_described(tmp_path):
    token = served.staffed(tmp_path)
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
                case.validate_response(answer)
                assert answer.status_code != 500

            held()
