"""Elasticsearch with the project's plugin, as the stacks run it."""

import httpx
import pytest

from services.elasticsearch import config
from tests.services.running import installed
from tests.support.ports import free_ports

service = pytest.mark.service

# Specification, "Elasticsearch Document Storage" and "Log Aggregation".
MAPPINGS = {
    "timestamp": {"type": "date"},
    "level": {"type": "keyword"},
    "service": {"type": "keyword"},
    "message": {"type": "text"},
    "job_id": {"type": "keyword"},
    "connection_id": {"type": "keyword"},
    "records_synced": {"type": "integer"},
    "bytes_synced": {"type": "long"},
}
SEARCH = {
    "query": {
        "bool": {
            "filter": [
                {"range": {"timestamp": {"gte": "now-1h"}}},
                {"term": {"level": "ERROR"}},
            ]
        }
    },
    "aggs": {"by_service": {"terms": {"field": "service"}}},
}


@pytest.mark.parametrize("heap", ["", "1", "0g", "1 g", "lots", "1g\n-XX:+Evil"])
def test_a_heap_that_java_would_not_take_is_refused(tmp_path, heap):
    with pytest.raises(ValueError, match="heap .*: expected a number of m or g"):
        config.files(
            http_port=1, transport_port=2, data_dir=tmp_path, logs_dir=tmp_path, heap=heap
        )


@pytest.fixture(scope="module")
def node(paths, make_place):
    home = installed(paths.opt / "elasticsearch")
    place = make_place("elasticsearch")
    password_file, password = place.secret("superuser")
    http_port, transport_port = free_ports(2)
    texts = config.files(
        http_port=http_port,
        transport_port=transport_port,
        data_dir=place.data,
        logs_dir=place.logs,
        heap="512m",
    )
    for name, text in texts.items():
        place.write(name, text)
    env = config.environment(config_dir=place.config, tmp_dir=place.tmp)
    place.init(config.init(home=home, config_dir=place.config, password_file=password_file), env)
    url = f"http://127.0.0.1:{http_port}"
    launcher = paths.root / "components/runtime/launch.py"
    module = "services.elasticsearch.ready"
    probe = (paths.venv / "bin/python", launcher, module, str(http_port), password_file)
    with httpx.Client(base_url=url, auth=(config.SUPERUSER, password), timeout=30) as superuser:
        command = config.command(home)
        with place.running(command, lambda: place.succeeds(probe, env), env, timeout_s=300):
            yield superuser


@service
def test_clients_recognise_the_server(node):
    answer = node.get("/")
    assert answer.headers["X-elastic-product"] == "Elasticsearch"
    assert answer.json()["version"]["number"] == "9.2.4"
    assert answer.json()["tagline"] == "You Know, for Search"
    assert node.head("/").status_code == 200


@service
def test_it_answers_nobody_without_credentials(node):
    assert httpx.get(node.base_url).status_code == 401
    assert httpx.get(node.base_url, auth=(config.SUPERUSER, "guess")).status_code == 401


@service
def test_a_user_without_the_monitor_privilege_does_not_see_the_node(node):
    _create_role_and_user(node, "blind", {"indices": []})
    assert httpx.get(node.base_url, auth=("blind", "blind-password")).status_code == 403


@service
def test_roles_users_templates_and_the_search_of_the_specification_work(node):
    template = {
        "index_patterns": ["airbyte-logs-*"],
        "template": {
            "settings": {"number_of_replicas": 0},
            "mappings": {"dynamic": "strict", "properties": MAPPINGS},
        },
    }
    assert node.put("/_index_template/airbyte-logs", json=template).is_success
    _create_role_and_user(
        node,
        "writer",
        {
            "indices": [
                {"names": ["airbyte-logs-*"], "privileges": ["create_doc", "auto_configure"]}
            ]
        },
    )
    _create_role_and_user(
        node, "reader", {"indices": [{"names": ["airbyte-logs-*"], "privileges": ["read"]}]}
    )
    now = (
        node.get("/_nodes/_local/jvm").json()["nodes"].popitem()[1]["jvm"]["start_time_in_millis"]
    )
    writer, reader = ("writer", "writer-password"), ("reader", "reader-password")
    for level, name in [("ERROR", "sync"), ("ERROR", "sync"), ("ERROR", "dbt"), ("INFO", "sync")]:
        document = {"timestamp": now, "level": level, "service": name, "message": "to read"}
        answer = httpx.post(
            f"{node.base_url}/airbyte-logs-2025.10.16/_doc?refresh=true",
            json=document,
            auth=writer,
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
    mapping = node.get("/airbyte-logs-2025.10.16/_mapping").json()
    assert mapping["airbyte-logs-2025.10.16"]["mappings"]["properties"] == MAPPINGS

    search = f"{node.base_url}/airbyte-logs-*/_search"
    found = httpx.request("GET", search, json=SEARCH, auth=reader, timeout=30).json()
    assert found["hits"]["total"]["value"] == 3
    assert found["aggregations"]["by_service"]["buckets"] == [
        {"key": "sync", "doc_count": 2},
        {"key": "dbt", "doc_count": 1},
    ]
    assert httpx.request("GET", search, json=SEARCH, auth=writer).status_code == 403


@service
def test_the_plugins_analysis_splits_and_deduplicates_as_the_security_index_asks(node):
    settings = {
        "settings": {
            "number_of_replicas": 0,
            "analysis": {
                "filter": {"parts": {"type": "pattern_capture", "patterns": ["([^@]+)", "@(.+)"]}},
                "analyzer": {
                    "email": {"tokenizer": "uax_url_email", "filter": ["parts", "unique"]}
                },
            },
        }
    }
    # The tokenizer and the filter `unique` are used by name, so they need no settings.
    assert node.put("/analysis", json=settings).is_success
    analysed = node.post(
        "/analysis/_analyze", json={"analyzer": "email", "text": "ann@example.org bob@example.org"}
    )
    assert [token["token"] for token in analysed.json()["tokens"]] == [
        *("ann@example.org", "ann", "example.org"),
        *("bob@example.org", "bob"),
    ]


def _create_role_and_user(node, name, role):
    assert node.put(f"/_security/role/{name}", json=role).is_success
    user = {"password": f"{name}-password", "roles": [name]}
    assert node.put(f"/_security/user/{name}", json=user).is_success
