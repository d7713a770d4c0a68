"""Logs of syncs in a real Elasticsearch: index, fields and mapping of the specification."""

import httpx
import pytest

from tests.embedded.airbyte.conftest import ControlPlane, source_config, wait_until

pytestmark = pytest.mark.service

FIELDS = {
    "timestamp": "date",
    "level": "keyword",
    "service": "keyword",
    "message": "text",
    "job_id": "keyword",
    "connection_id": "keyword",
    "records_synced": "integer",
    "bytes_synced": "long",
}


@pytest.fixture
def logging_plane(elasticsearch_server, new_database, tmp_path):
    server = elasticsearch_server
    password = tmp_path / "logs-password"
    password.write_text(server.password)
    logs = {"url": server.url, "username": server.user, "passwordFile": str(password)}
    plane = ControlPlane(tmp_path / "plane", new_database("airbyte"), logs={"elasticsearch": logs})
    plane.start()
    yield plane
    plane.stop()


def test_a_failure_is_found_by_the_query_of_the_specification(
    logging_plane, elasticsearch_server, shop, s3_config
) -> None:
    plane, server = logging_plane, elasticsearch_server
    source = plane.source("shop", {"sourceType": "postgres", **source_config(shop)})
    lake = plane.destination("lake", {"destinationType": "s3", **s3_config})
    connection = plane.connection(source, lake, [{"name": "customers"}])
    assert plane.sync(connection)["status"] == "succeeded"
    config = {"configuration": source_config(shop, password="wrong")}
    plane.public.patch(f"/sources/{source}", json=config)
    job = plane.sync(connection)["jobId"]
    client = httpx.Client(base_url=server.url, auth=(server.user, server.password))
    query = {
        "query": {
            "bool": {
                "filter": [
                    {"range": {"timestamp": {"gte": "now-1h"}}},
                    {"term": {"level": "ERROR"}},
                    {"term": {"job_id": str(job)}},
                    {"term": {"connection_id": connection}},
                ]
            }
        },
        "aggs": {"by_service": {"terms": {"field": "service"}}},
    }

    def found() -> dict:
        client.post("/airbyte-logs-*/_refresh")
        return client.post("/airbyte-logs-*/_search", json=query).json()

    wait_until(lambda: len(found().get("hits", {}).get("hits", [])) >= 2, "the log documents")
    buckets = {b["key"] for b in found()["aggregations"]["by_service"]["buckets"]}
    assert {"airbyte-source", "airbyte-platform"} <= buckets
    hit = found()["hits"]["hits"][0]
    assert set(hit["_source"]) == set(FIELDS)
    mapping = client.get(f"/{hit['_index']}/_mapping").json()[hit["_index"]]["mappings"]
    assert {name: field["type"] for name, field in mapping["properties"].items()} == FIELDS
    succeeded = {"query": {"range": {"records_synced": {"gte": 1000}}}}
    hits = client.post("/airbyte-logs-*/_search", json=succeeded).json()["hits"]["hits"]
    assert hits[0]["_source"]["bytes_synced"] > 1000
