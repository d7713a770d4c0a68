"""Descriptions of services and jobs: what is refused, and what ports become."""

import re

import pytest

from components.runtime.service import Address, Job, Readiness, ScheduledJob, Service

RUN = {"name": "web", "command": ("serve",)}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "Web"}, "service 'Web': name"),
        ({"command": ()}, "service 'web': command"),
        ({"ports": {"http": 70000}}, "port http 70000"),
        ({"ports": {"a": 1, "b": 1}}, "used twice"),
        ({"files": {"x": ""}, "secret_files": {"x": ""}}, "'x': is in files and secret_files"),
        ({"stop_timeout_s": 0}, "stop_timeout_s 0"),
    ],
)
def test_a_wrong_service_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        Service(**{**RUN, **change})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "ping"}, "expected one of http, tcp, command"),
        ({"kind": "http"}, "expected port and path"),
        ({"kind": "tcp", "port": 1, "path": "/x"}, "expected port, and no other"),
        ({"kind": "tcp", "port": 1, "timeout_s": 0}, "timeout_s 0"),
    ],
)
def test_a_wrong_probe_is_refused(given, text):
    with pytest.raises(ValueError, match=text):
        Readiness(**given)


def test_a_wrong_job_is_refused():
    with pytest.raises(ValueError, match="job 'seed': timeout_s 0"):
        Job(name="seed", command=("x",), timeout_s=0)


@pytest.mark.parametrize("schedule", ["", "0 5 * *", "0 0 5 * * *", "0 25 * * *", "@daily"])
def test_a_wrong_schedule_is_refused(schedule):
    with pytest.raises(ValueError, match=f"job 'copy': schedule {re.escape(repr(schedule))}: "):
        ScheduledJob(job=Job(name="copy", command=("x",)), schedule=schedule)


def test_an_address_has_a_url():
    assert Address(host="127.0.0.1", port=32010, scheme="grpc").url == "grpc://127.0.0.1:32010"
