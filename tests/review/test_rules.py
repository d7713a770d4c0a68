"""Losses, security, costs and grades, step by step."""

import json

import pytest

from review.cli import read, written
from review.costs import GIB, Amount, amount_of, quantity
from review.lineage import of_flow
from review.report import Context, Review, review
from review.risk import RULES, Grade
from tests.review.sample import FLOW, project
from tests.review.steps import preview_of, step

PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
CONNECTION = "pulumi-python:dynamic/dataflow/airbyte:Connection"
BUCKET = "minio:index/s3Bucket:S3Bucket"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
POLICY = "minio:index/s3BucketPolicy:S3BucketPolicy"
EVERYBODY = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]}}]})
NOBODY = json.dumps({"Statement": [{"Effect": "Deny", "Principal": "*"}]})
ORDERS = {"name": "orders", "syncMode": "incremental_append", "cursorField": ["updated_at"]}


def judged(*steps: dict, **more) -> Review:
    known = Context(lineage=of_flow(FLOW), project=project("deployed"))
    return review(read(preview_of(*steps, **more)), known)


def update(type_: str, old: dict, new: dict, name: str = "thing") -> dict:
    """An update as the engine shows it without a detailed diff: the inputs are compared."""
    return step("update", type_, name, old=old, new=new)


def replaced(type_: str, old: dict, new: dict, *keys: str, **state) -> list[dict]:
    steps = [
        step(op, type_, old=old, new=new, replaceReasons=list(keys))
        for op in ("create-replacement", "replace", "delete-replaced")
    ]
    for one in steps:
        one["oldState"].update(state)
    return steps


@pytest.mark.parametrize(
    ("type_", "inputs", "what"),
    [
        (BUCKET, {"bucket": "datalake"}, "bucket datalake"),
        ("postgresql:index/database:Database", {"name": "shop"}, "database shop"),
        ("docker:index/volume:Volume", {"name": "data"}, "volume data"),
        ("elasticstack:index/index:Index", {"name": "logs"}, "index logs"),
        (
            "kubernetes:core/v1:PersistentVolumeClaim",
            {"metadata": {"name": "data"}},
            "volume claim data",
        ),
        (
            "kubernetes:postgresql.cnpg.io/v1:Cluster",
            {"metadata": {"name": "pg"}},
            "PostgreSQL cluster pg",
        ),
        (PROCESS, {"name": "minio", "keepData": False}, "data folder of service minio"),
    ],
)
def test_what_holds_data_is_lost_with_its_resource(type_, inputs, what):
    deleted = judged(step("delete", type_, old=inputs))
    assert [(one.effect, one.what) for one in deleted.losses] == [("loss", what)]
    assert deleted.risk.grade is Grade.CRITICAL
    again = judged(*replaced(type_, inputs, {**inputs, "name": "other"}, "name"))
    assert [one.what for one in again.losses] == [what]
    assert again.counts == {"replace": 1}
    assert judged(step("create", type_, new=inputs)).losses == ()


def test_what_is_kept_on_delete_is_not_lost():
    kept = step("delete", BUCKET, old={"bucket": "datalake"})
    kept["oldState"]["retainOnDelete"] = True
    assert judged(kept).losses == ()
    with_data = {"name": "minio", "keepData": True}
    assert judged(step("delete", PROCESS, old=with_data)).losses == ()


def test_a_stream_without_changes_keeps_its_state():
    other = {**ORDERS, "name": "customers"}
    old = {"name": "postgres", "streams": [ORDERS, other]}
    new = {"name": "postgres", "streams": [{**ORDERS, "cursorField": ["id"]}, other]}
    found = judged(update(CONNECTION, old, new))
    assert [one.what for one in found.losses] == ["stream postgres.orders"]
    assert [one.node for one in found.data.touched] == ["stream postgres.orders"]
    assert found.risk.grade is Grade.HIGH


def test_a_deselected_column_is_named():
    old = {"name": "postgres", "streams": [{**ORDERS, "selectedFields": ["id", "note"]}]}
    new = {"name": "postgres", "streams": [{**ORDERS, "selectedFields": ["id", "status"]}]}
    (touched,) = judged(update(CONNECTION, old, new)).data.touched
    assert touched.details == ("columns gone: note", "new columns: status")
    assert "table gold.fct_orders" in touched.downstream


@pytest.mark.parametrize(
    ("old", "new", "grade"),
    [("7d", "2d", Grade.HIGH), (7, 2, Grade.HIGH), (None, 90, Grade.MEDIUM), (2, 7, Grade.LOW)],
)
def test_a_shorter_or_a_new_retention_is_told(old, new, grade):
    rules = "minio:index/ilmPolicy:IlmPolicy"
    key = "expiration"
    states = [{"rules": [{key: days} if days else {}]} for days in (old, new)]
    changed = step(
        "update", rules, old=states[0], new=states[1], diff={f"rules[0].{key}": "update"}
    )
    found = judged(changed)
    assert found.risk.grade is grade
    assert len(found.losses) == (0 if grade is Grade.LOW else 1)


@pytest.mark.parametrize(
    ("type_", "old", "new", "path"),
    [
        (
            "elasticstack:index/indexLifecycle:IndexLifecycle",
            {"delete": {"minAge": "90d"}},
            {"delete": {"minAge": "30d"}},
            "delete.minAge",
        ),
        (
            "elasticstack:index/snapshotLifecycle:SnapshotLifecycle",
            {"expireAfter": "30d"},
            {"expireAfter": "7d"},
            "expireAfter",
        ),
    ],
)
def test_a_shorter_life_of_logs_and_of_their_snapshots_is_told(type_, old, new, path):
    changed = step("update", type_, old=old, new=new, diff={path: "update"})
    found = judged(changed)
    assert found.risk.grade is Grade.HIGH
    assert [loss.why.partition(":")[0] for loss in found.losses] == [path]


@pytest.mark.parametrize(
    ("type_", "old", "new", "said"),
    [
        (BUCKET, {"acl": "private"}, {"acl": "public-read"}, "acl public-read"),
        (POLICY, {"policy": NOBODY}, {"policy": EVERYBODY}, "policy allows everybody"),
        (
            "docker:index/container:Container",
            {"ports": [{"ip": "127.0.0.1", "internal": 80}]},
            {"ports": [{"ip": "0.0.0.0", "internal": 80}]},
            "ip 0.0.0.0",
        ),
        (
            "kubernetes:core/v1:Service",
            {"spec": {"type": "ClusterIP"}},
            {"spec": {"type": "LoadBalancer"}},
            "service type LoadBalancer",
        ),
        (
            "postgresql:index/grant:Grant",
            {"role": "reader"},
            {"role": "public"},
            "granted to PUBLIC",
        ),
    ],
)
def test_what_opens_to_everybody_is_critical_and_closing_it_is_not(type_, old, new, said):
    opened = judged(update(type_, old, new))
    assert [f.what.partition(":")[0] for f in opened.findings if f.area == "public access"] == [
        said
    ]
    assert opened.risk.grade is Grade.CRITICAL
    closed = judged(update(type_, new, old))
    assert not [f for f in closed.findings if f.area == "public access"]
    assert closed.risk.grade is not Grade.CRITICAL


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ({"minioSsl": True}, {"minioSsl": False}),
        ({"sslmode": "verify-full"}, {"sslmode": "disable"}),
        (
            {"configuration": {"ssl_mode": {"mode": "require"}}},
            {"configuration": {"ssl_mode": {"mode": "disable"}}},
        ),
        ({"endpoints": ["https://es:9200"]}, {"endpoints": ["http://es:9200"]}),
        (
            {"uri": "dremio+flight://h/d?UseEncryption=true"},
            {"uri": "dremio+flight://h/d?UseEncryption=false"},
        ),
    ],
)
def test_tls_switched_off_is_high_and_switched_on_is_told(on, off):
    worse = judged(update("pulumi:providers:minio", on, off))
    assert [(f.area, f.opens) for f in worse.findings] == [("TLS", True)]
    assert worse.risk.grade is Grade.HIGH
    better = judged(update("pulumi:providers:minio", off, on))
    assert [(f.area, f.opens) for f in better.findings] == [("TLS", False)]
    assert better.risk.grade is Grade.LOW


def test_a_new_port_a_new_user_and_a_wider_role_are_told():
    found = judged(
        update(PROCESS, {"ports": [9000]}, {"ports": [9000, 9001]}, "minio-process"),
        step("create", "minio:index/iamUser:IamUser", "eve", new={"name": "eve"}),
        update(
            "postgresql:index/role:Role",
            {"name": "pipeline", "createRole": False},
            {"name": "pipeline", "createRole": True},
            "role",
        ),
    )
    told = [(f.area, f.what) for f in found.findings]
    assert ("port", "new port 9001: local:Process `minio-process`") in told
    assert ("right", "new user: `eve`") in told
    assert ("right", "role changed: `pipeline` (createRole) with createRole") in told
    assert found.risk.grade is Grade.MEDIUM


def test_the_first_up_is_low_although_everything_is_new():
    found = judged(
        step("create", PROCESS, new={"name": "minio", "ports": [9000], "secretFiles": "[secret]"}),
        step(
            "create", "minio:index/iamUser:IamUser", "u", new={"name": "u", "secret": "[secret]"}
        ),
    )
    assert found.risk.grade is Grade.LOW


@pytest.mark.parametrize(
    ("level", "severity", "grade"),
    [
        ("mandatory", "high", Grade.HIGH),
        ("mandatory", "critical", Grade.CRITICAL),
        ("remediate", "", Grade.HIGH),
        ("advisory", "critical", Grade.MEDIUM),
        ("warning", "", Grade.MEDIUM),
    ],
)
def test_policies_set_the_grade(level, severity, grade):
    event = {
        "policyName": "no-public-bucket",
        "policyPackName": "dataflow",
        "enforcementLevel": level,
        "severity": severity,
        "message": "<{%fg 1%}>closed buckets only\n\nlong story",
        "resourceUrn": "urn:pulumi:a::b::c::lake",
    }
    found = judged(step("create", BUCKET, "lake", new={}), policyEvents=[event])
    (violation,) = found.preview.violations
    assert violation.message == "closed buckets only"
    assert violation.resource == "lake"
    assert found.risk.grade is grade


def test_an_advisory_policy_on_what_stays_is_counted_and_not_graded():
    event = {
        "policyName": "X01",
        "enforcementLevel": "advisory",
        "resourceUrn": "urn:pulumi:a::b::c::lake",
        "message": "clear text",
    }
    found = judged(policyEvents=[event])
    assert found.risk.grade is Grade.LOW
    text = written(found, format_="github", title="Review")
    assert "on resources that stay as they are: `X01` 1" in text


def test_a_printed_violation_is_a_violation():
    said = {"severity": "error", "message": "[mandatory]  dataflow v1.0  S02 (lake)\n no public"}
    (violation,) = judged(diagnostics=[said]).preview.violations
    assert (violation.policy, violation.level, violation.resource) == ("S02", "mandatory", "lake")


def test_every_rule_says_what_it_means():
    assert {rule.grade for rule in RULES.values()} <= set(Grade)
    assert len({rule.text for rule in RULES.values()}) == len(RULES)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2), ("1Gi", GIB), ("1G", 1e9), (3, 3), ("", None), ("much", None)],
)
def test_quantities_of_kubernetes(text, value):
    assert quantity(text) == value


def pod(cpu: str, memory: str) -> dict:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return {"spec": {"containers": [{"name": "main", "resources": resources}]}}


def test_costs_follow_replicas_and_disks():
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    old = {
        "spec": {"replicas": 1, "template": pod("500m", "1Gi"), "volumeClaimTemplates": [claim]}
    }
    new = {"spec": {**old["spec"], "replicas": 3}}
    (cost,) = judged(update("kubernetes:apps/v1:StatefulSet", old, new)).costs
    assert cost.difference == Amount(
        processes=2, cores=1.0, memory_bytes=2 * GIB, disk_bytes=20 * GIB
    )
    assert cost.difference.usd_a_month == pytest.approx(25 + 7 + 2)


def test_a_container_without_limits_is_counted_as_unstated():
    assert amount_of("docker:Container", {"name": "x"}) == Amount(processes=1, unstated=1)
    limited = amount_of("docker:Container", {"memory": 512, "cpus": "1.5"})
    assert limited == Amount(processes=1, cores=1.5, memory_bytes=GIB / 2)


def test_operators_resources_are_counted():
    cluster = {
        "spec": {
            "instances": 3,
            "storage": {"size": "5Gi"},
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
        }
    }
    amount = amount_of("kubernetes:Cluster", cluster)
    assert (amount.cores, amount.disk_bytes) == (3, 15 * GIB)
