"""Whatever a caller sends to a documented route, the answer is a documented one: no 500, no undeclared status."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from services.gateway.api import document
from tests.api.conftest import Api

ENDLESS = "/api/stream"
ENDS_THE_SESSION = ("/api/auth/logout", "/api/auth/password", "/api/auth/login", "/api/auth/register")

schema = schemathesis.openapi.from_dict(document())
schema.config.phases.coverage.enabled = False
# The caller's own session is sent; none is made up.
signed_in_schema = schemathesis.openapi.from_dict({**document(), "security": []})
EXAMPLES = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@signed_in_schema.exclude(path=[ENDLESS, *ENDS_THE_SESSION]).parametrize()
@EXAMPLES
def test_a_signed_in_caller_gets_a_documented_answer(case: Case[Any], api: Api) -> None:
    response = case.call(base_url=api.url, headers=api.headers)
    case.validate_response(
        response, checks=[status_code_conformance, content_type_conformance], excluded_checks=[not_a_server_error]
    )
    assert response.status_code not in {401, 500}


@schema.exclude(path=ENDLESS).parametrize()
@EXAMPLES
def test_a_stranger_gets_a_documented_answer(case: Case[Any], api: Api) -> None:
    response = case.call(base_url=api.url)
    case.validate_response(response, checks=[status_code_conformance, content_type_conformance])
    assert response.status_code < 500
    if case.path not in ENDS_THE_SESSION:
        assert response.status_code in {401, 403, 405, 422}
