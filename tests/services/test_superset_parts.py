"""The parts of Superset's configuration that need no Superset."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from prometheus_client.exposition import generate_latest

from services.superset import config, metrics, settings
from services.superset.redaction import redact


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def load_chart(impression="one", dashboard=7, start=0, duration=0, **more):
    return {
        "event_name": "load_chart",
        "source": "dashboard",
        "source_id": dashboard,
        "impression_id": impression,
        "start_offset": start,
        "duration": duration,
        **more,
    }


def sample(collector, name, labels=None):
    return metrics.registry([collector]).get_sample_value(name, labels or {})


def test_the_hit_rate_is_that_of_the_last_five_minutes_and_absent_without_queries():
    clock = Clock()
    hits = metrics.CacheHits(clock)
    assert sample(hits, "superset_query_cache_hit_rate") is None
    hits.add(hit=False)
    clock.now += metrics.WINDOW_S - 1
    for _ in range(3):
        hits.add(hit=True)
    assert sample(hits, "superset_query_cache_hit_rate") == 0.75
    clock.now += 2
    assert sample(hits, "superset_query_cache_hit_rate") == 1.0
    clock.now += metrics.WINDOW_S
    assert sample(hits, "superset_query_cache_hit_rate") is None
    assert sample(hits, "superset_query_cache_hits_total") == 3
    assert sample(hits, "superset_query_cache_misses_total") == 1


def test_the_load_time_of_an_impression_is_that_of_its_last_chart():
    clock = Clock()
    times = metrics.LoadTimes(clock)
    times.add(load_chart(start=100, duration=900))
    times.add(load_chart(start=500, duration=3_700))
    times.add(load_chart("two", start=0, duration=400))
    times.add(load_chart("three", dashboard=8, duration=9_000))
    name, seven = "superset_dashboard_load_time", {"dashboard": "7"}
    assert sample(times, f"{name}_count", seven) is None  # more charts may come
    clock.now += metrics.SETTLED_S
    assert sample(times, f"{name}_count", seven) == 2
    assert sample(times, f"{name}_sum", seven) == pytest.approx(4.2 + 0.4)
    assert sample(times, f"{name}_bucket", seven | {"le": "3.0"}) == 1
    assert sample(times, f"{name}_bucket", seven | {"le": "5.0"}) == 2
    assert sample(times, f"{name}_bucket", {"dashboard": "8", "le": "5.0"}) == 0


@pytest.mark.parametrize(
    "event",
    [
        {},
        load_chart(event_name="mount_dashboard"),
        load_chart(source="explore"),
        load_chart(duration="900"),
        load_chart(start=None),
        load_chart(dashboard='7"} 1\nevil 1'),
        load_chart(impression=[]),
    ],
)
def test_events_of_other_kinds_and_shapes_are_passed_over(event):
    clock = Clock()
    times = metrics.LoadTimes(clock)
    times.add(event)
    clock.now += metrics.SETTLED_S
    assert b"_count" not in generate_latest(metrics.registry([times]))


def test_a_browser_cannot_fill_the_memory():
    times = metrics.LoadTimes(Clock())
    for number in range(metrics.MAX_OPEN + 10):
        times.add(load_chart(str(number), dashboard=number))
    assert len(times._open) == metrics.MAX_OPEN
    assert len(times._counts) <= metrics.MAX_DASHBOARDS


@pytest.mark.parametrize(
    "record",
    [
        {"sqlalchemy_uri": "dremio+flight://u:s3cr3t@h:1/d?UseEncryption=false"},
        {"uri": "postgresql://u:s3cr3t@more@h/d"},
        {"password": "s3cr3t"},
        {"parameters": {"Password": "s3cr3t", "host": "h"}},
        {"passwords": '{"databases/x.yaml": "s3cr3t"}'},
        {"masked_encrypted_extra": '{"key": "s3cr3t"}'},
        {"extra": '{"engine_params": {"connect_args": {"access_token": "s3cr3t"}}}'},
        {"events": [["nested", {"client_secret": "s3cr3t"}]]},
        {"body": b'{"password": "s3cr3t"}'},
        {"path": "failed for x://u:s3cr3t@h: refused"},
    ],
)
def test_no_secret_reaches_the_audit_log(record):
    text = json.dumps(redact([record]))
    assert "s3cr3t" not in text
    assert "[redacted]" in text


def test_everything_else_reaches_the_audit_log_as_it_was():
    record = {
        "path": "/api/v1/chart/data",
        "slice_id": 3,
        "force": False,
        "note": "{not json",
        "url": "http://127.0.0.1:8088/login/?next=a",
        "rows": [1.5, None],
        "password": None,
    }
    assert redact(record) == record


def test_the_settings_file_is_read_back_as_written(tmp_path):
    metadata = {"host": "h", "port": 1, "dbname": "d", "user": "u", "passwordFile": "/p"}
    text = config.files(
        port=8088,
        metadata=metadata,
        secret_key_file=tmp_path / "key",
        admin_user="admin",
        admin_password_file=tmp_path / "admin",
        data_dir=tmp_path,
    )["superset.json"]
    file = tmp_path / "superset.json"
    file.write_text(text)
    read = settings.load({settings.VARIABLE: str(file)})
    assert (read.port, read.admin_user, read.metadata.dbname) == (8088, "admin", "d")
    assert read.cache_dir == tmp_path / "cache"

    broken = json.loads(text)
    del broken["metadata"]["dbname"]
    file.write_text(json.dumps(broken))
    with pytest.raises(ValueError, match=f"{file}: the key 'dbname' is missing"):
        settings.load({settings.VARIABLE: str(file)})
    with pytest.raises(ValueError, match="DATAFLOW_SUPERSET_CONFIG is not set"):
        settings.load({})

    (tmp_path / "key").write_text("short")
    with pytest.raises(ValueError, match="42 bytes or more"):
        settings.secret_key(read)


@pytest.mark.parametrize("ca_file", [None, Path("/dataflow/tls/ca.crt")])
def test_the_cache_is_verified_where_it_speaks_tls(tmp_path, ca_file):
    (tmp_path / "password").write_text("s3/cr:et@\n")
    redis = settings.Redis(
        host="cache.svc",
        port=6379,
        user="superset",
        password_file=tmp_path / "password",
        ca_file=ca_file,
    )
    url = urlsplit(settings.redis_url(redis, 2))
    assert (url.hostname, url.port, url.path) == ("cache.svc", 6379, "/2")
    assert unquote(url.password) == "s3/cr:et@"
    assert url.scheme == ("rediss" if ca_file else "redis")
    wanted = {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": "true",
        "ssl_ca_certs": str(ca_file),
    }
    assert dict(parse_qsl(url.query)) == (wanted if ca_file else {})
