"""The log of user actions in a real Superset, as the pipeline collects it."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.audit import actions


@pytest.mark.service
@pytest.mark.timeout(400)  # it may be the one that starts Superset
def test_what_an_administrator_did_is_told_since_then(real_superset):
    client = real_superset.client
    before = datetime.now(UTC)
    client.send("GET", "/dashboard/", q="(page:0)")
    told = list(actions(client, before))
    assert {document.actor for document in told} == {"admin"}
    assert ("DashboardRestApi.get_list", "/api/v1/dashboard/") in {
        (document.action, document.object) for document in told
    }
    assert min(document.ended for document in told) >= before
    assert len({document.id for document in told}) == len(told)
    later = list(actions(client, datetime.now(UTC) + timedelta(minutes=1)))
    assert not later
