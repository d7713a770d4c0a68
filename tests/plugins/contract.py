"""What the contract suite needs to know of each handler: one Case for each."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from dynamic_providers.handler import Props
from tests.docker_fixtures import busybox_files, import_busybox
from tests.docker_registry import running_registry
from tests.support.ports import free_ports


@dataclass(frozen=True, kw_only=True)
class Case:
    """prepare: makes what the object needs (client, spec inputs).
    raw: inputs as a program would write them.
    change: inputs of an update in place, and the only differences that it may show.
    drift: changes one field by hand (client, id); `drifted` is the path that must show.
    lingers: what an object leaves behind after delete, when it cannot go altogether.
    imports: inputs (beyond secrets) that an import cannot know.
    """

    raw: Props
    change: Props
    changed: set[str]
    drift: Callable[[Any, str], None]
    drifted: set[str]
    prepare: Callable[[Any], None] = lambda client: None
    clean: Callable[[Any], None] = lambda client: None
    lingers: bool = False
    imports: frozenset[str] = frozenset()


POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": ["arn:aws:s3:::contract/gold/*", "arn:aws:s3:::contract/a/*"],
        "Condition": {"StringEquals": {"aws:UserAgent": "x"}},
    },
}
IAM = {
    "Statement": [
        {
            "Action": ["s3:PutObject", "s3:GetObject"],
            "Resource": "arn:aws:s3:::x/*",
            "Effect": "Allow",
        }
    ],
    "Version": "2012-10-17",
}


def _bucket(client: Any) -> None:
    client.s3("make_bucket", "contract", absent=("BucketAlreadyOwnedByYou",))


def _no_bucket(client: Any) -> None:
    client.s3("remove_bucket", "contract", absent=("NoSuchBucket",))


def _suspend(client: Any, id_: str) -> None:
    from minio.versioningconfig import VersioningConfig

    client.s3("set_bucket_versioning", id_, VersioningConfig("Suspended"))


def _rule_by_hand(client: Any, id_: str) -> None:
    live = client.s3("get_bucket_lifecycle", id_)
    from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

    first, *rest = live.rules
    longer = Rule(
        status=first.status,
        rule_filter=first.rule_filter,
        rule_id=first.rule_id,
        expiration=Expiration(days=5),
    )
    client.s3("set_bucket_lifecycle", id_, LifecycleConfig([longer, *rest]))


def _iam_user(client: Any) -> None:
    client.admin("user_add", "contract-user", "secret-of-user")
    client.admin("policy_add", "contract-rule", policy=IAM)


def _no_iam_user(client: Any) -> None:
    client.admin("user_remove", "contract-user", absent=("XMinioAdminNoSuchUser",))
    client.admin("policy_remove", "contract-rule", absent=("XMinioAdminNoSuchPolicy",))


def _sql(*statements: str, database: str | None = None) -> Callable[..., None]:
    def run(client: Any, id_: str = "") -> None:
        with client.session(database) as session:
            for statement in statements:
                session.run(statement)

    return run


def _call(method: str, path: str, body: Any = None) -> Callable[[Any, str], None]:
    def run(client: Any, id_: str) -> None:
        assert client.send(method, path, body) is not None

    return run


def _repository(client: Any) -> None:
    settings = {"bucket": "backups", "client": "default"}
    client.send("PUT", "/_snapshot/contract-backups", {"type": "s3", "settings": settings})


def _lake(client: Any) -> None:
    _sql("CREATE DATABASE contract_lake", "CREATE ROLE contract_reader")(client)
    tables = ("CREATE SCHEMA gold", "CREATE TABLE gold.a (x int)", "CREATE TABLE gold.b (x int)")
    _sql(*tables, database="contract_lake")(client)


def _no_lake(client: Any) -> None:
    _sql("DROP DATABASE IF EXISTS contract_lake WITH (FORCE)")(client)
    _sql("DROP OWNED BY contract_reader", "DROP ROLE contract_reader")(client)


def _owner(client: Any) -> None:
    _sql("CREATE ROLE contract_owner")(client)


def _no_owner(client: Any) -> None:
    _sql("DROP OWNED BY contract_owner", "DROP ROLE contract_owner")(client)


BUSYBOX = "contract-busybox:1"
PORT, REGISTRY_PORT = free_ports(2)
PULLED = f"127.0.0.1:{REGISTRY_PORT}/contract:1"
RUNNING = ExitStack()  # the registry of the test that is running


def _busybox(client: Any) -> None:
    import_busybox(client, BUSYBOX)


def _no_busybox(client: Any) -> None:
    client.send("DELETE", "images", BUSYBOX, absent=(404,), force="true")


def _registry(client: Any) -> None:
    registry = RUNNING.enter_context(running_registry(port=REGISTRY_PORT))
    registry.push("1", busybox_files("pulled"), {})


def _no_pulled(client: Any) -> None:
    RUNNING.close()
    client.send("DELETE", "images", PULLED, absent=(404,), force="true")


def _network(client: Any) -> None:
    _busybox(client)
    for name in ("contract-a", "contract-b"):
        client.send("POST", *("networks", "create"), body={"Name": name, "Internal": True})


def _no_network(client: Any) -> None:
    for name in ("contract-a", "contract-b"):
        client.send("DELETE", "networks", name, absent=(404,))
    client.send("DELETE", *("volumes", "contract-data"), absent=(404,))
    _no_busybox(client)


def _stop(client: Any, id_: str) -> None:
    client.send("POST", "containers", id_, "stop", t=1)
    client.send("POST", "containers", id_, "update", body={"CpuShares": 100})


TEMPLATE = {
    "settings": json.dumps({"number_of_shards": 1, "index": {"refresh_interval": "5s"}}),
    "mappings": json.dumps({"properties": {"level": {"type": "keyword"}}, "dynamic": False}),
    "aliases": [{"name": "all-logs", "filter": json.dumps({"term": {"level": "x"}})}],
}

CASES: dict[str, Case] = {
    "docker:index/container:Container": Case(
        prepare=_network,
        clean=_no_network,
        raw={
            "name": "contract",
            "image": BUSYBOX,
            "command": ["sh", "-c", "exec sleep 1000"],
            "entrypoints": ["/bin/busybox"],
            "envs": ["B=2", "A=1", "PATH=/bin:/other"],
            "labels": [{"label": "z", "value": "1"}, {"label": "a", "value": ""}],
            "user": "1000:1000",
            "workingDir": "/tmp",
            "hostname": "inside",
            "stopSignal": "SIGKILL",
            "stopTimeout": 3.0,
            "wait": True,
            "healthcheck": {"tests": ["CMD", "/bin/true"], "interval": "1000ms", "retries": 2.0},
            "restart": "on-failure",
            "maxRetryCount": 3.0,
            "memory": 64.0,
            "cpus": "0.50",
            "cpuShares": 512.0,
            "shmSize": 16,
            "ulimits": [{"name": "nofile", "soft": 64, "hard": 128}],
            "capabilities": {"drops": ["ALL"], "adds": ["net_bind_service", "CAP_CHOWN"]},
            "securityOpts": ["no-new-privileges"],
            "groupAdds": ["20", "10"],
            "init": True,
            "readOnly": True,
            "tmpfs": {"/run": "rw,size=1m", "/tmp": "rw"},
            "sysctls": {"net.core.somaxconn": "256"},
            "logDriver": "json-file",
            "logOpts": {"max-size": "1m", "max-file": "2"},
            "dns": ["10.0.0.2", "10.0.0.1"],
            "hosts": [{"host": "there", "ip": "10.0.0.9"}],
            "networksAdvanced": [
                {"name": "contract-b"},
                {"name": "contract-a", "aliases": ["two", "one"]},
            ],
            "ports": [
                {"internal": 8080, "external": PORT, "ip": "127.0.0.1"},
                {"internal": 53, "protocol": "udp"},
            ],
            "volumes": [
                {"volumeName": "contract-data", "containerPath": "/data"},
                {"hostPath": "/proc", "containerPath": "/of-host", "readOnly": True},
            ],
            "mounts": [
                {"target": "/scratch", "type": "tmpfs", "tmpfsOptions": {"sizeBytes": 4096}},
                {"target": "/more", "type": "volume", "source": "contract-data", "readOnly": True},
            ],
        },
        change={"memory": 96, "restart": "always", "maxRetryCount": None, "waitTimeout": 30},
        changed={"memory", "restart", "maxRetryCount", "waitTimeout"},
        drift=_stop,
        drifted={"mustRun", "cpuShares"},
        # What the plugin does with a container is nowhere in it.
        imports=frozenset({"wait"}),
    ),
    "docker:index/network:Network": Case(
        raw={
            "name": "contract",
            "internal": True,
            "ipamConfigs": [{"subnet": "10.213.0.0/24", "gateway": "10.213.0.1"}],
            "options": {"com.docker.network.bridge.enable_icc": "true"},
            "labels": [{"label": "layer", "value": "storage"}],
        },
        change={},
        changed=set(),
        drift=lambda client, id_: None,  # the API has no update: it is there, or it is not
        drifted=set(),
    ),
    "docker:index/remoteImage:RemoteImage": Case(
        prepare=_registry,
        clean=_no_pulled,
        raw={"name": PULLED, "pullTriggers": ["b", "a"]},
        change={"keepLocally": True},
        changed={"keepLocally"},
        drift=lambda client, id_: None,
        drifted=set(),
        lingers=True,  # as keepLocally says
        imports=frozenset({"pullTriggers"}),
    ),
    "docker:index/tag:Tag": Case(
        prepare=_busybox,
        clean=_no_busybox,
        raw={"sourceImage": BUSYBOX, "targetImage": "contract-tag"},
        change={},
        changed=set(),
        drift=lambda client, id_: None,
        drifted=set(),
        imports=frozenset({"sourceImage"}),
    ),
    "docker:index/volume:Volume": Case(
        raw={
            "name": "contract",
            "driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
            "labels": [{"label": "layer", "value": "storage"}],
        },
        change={},
        changed=set(),
        drift=lambda client, id_: None,
        drifted=set(),
    ),
    "minio:index/s3Bucket:S3Bucket": Case(
        raw={"bucket": "contract-bucket", "quota": 1e9},
        change={"acl": "public-read", "forceDestroy": True},
        changed={"acl", "forceDestroy"},
        drift=lambda client, id_: client.s3("delete_bucket_policy", id_),
        drifted={"acl"},
        imports=frozenset({"forceDestroy"}),
    ),
    "minio:index/s3BucketVersioning:S3BucketVersioning": Case(
        prepare=_bucket,
        clean=_no_bucket,
        raw={"bucket": "contract", "versioningConfiguration": {"status": "Enabled"}},
        change={
            "versioningConfiguration": {
                "status": "Enabled",
                "excludedPrefixes": ["tmp/", "a/"],
                "excludeFolders": True,
            }
        },
        changed={
            "versioningConfiguration.excludedPrefixes",
            "versioningConfiguration.excludeFolders",
        },
        drift=lambda client, id_: _suspend(client, id_),
        drifted={
            "versioningConfiguration.status",
            # MinIO drops them while versioning is suspended by this call.
            "versioningConfiguration.excludedPrefixes[0]",
            "versioningConfiguration.excludedPrefixes[1]",
            "versioningConfiguration.excludeFolders",
        },
        lingers=True,
    ),
    "minio:index/s3BucketPolicy:S3BucketPolicy": Case(
        prepare=_bucket,
        clean=_no_bucket,
        raw={"bucket": "contract", "policy": json.dumps(POLICY)},
        change={"policy": json.dumps(POLICY).replace("gold", "silver")},
        changed={"policy"},
        drift=lambda client, id_: client.s3(
            "set_bucket_policy", id_, json.dumps(POLICY | {"Statement": [POLICY["Statement"]]})
        ),
        drifted={"policy"},
    ),
    "minio:index/ilmPolicy:IlmPolicy": Case(
        prepare=_bucket,
        clean=_no_bucket,
        raw={
            "bucket": "contract",
            "rules": [
                {"id": "b", "expiration": "90d", "filter": "logs/"},
                {"id": "a", "expiration": "1d", "tags": {"k": "v", "j": "w"}, "filter": "x"},
                {"id": "c", "noncurrentVersionExpirationDays": 7.0},
                {"id": "d", "expiration": "2040-01-31"},
                {"id": "e", "expiration": "DeleteMarker"},
            ],
        },
        change={"rules": [{"id": "a", "expiration": "30d"}]},
        changed={
            *("rules[0].expiration", "rules[0].filter", "rules[0].tags"),
            *(f"rules[{index}]" for index in range(1, 5)),
        },
        drift=_rule_by_hand,
        drifted={"rules[0].expiration"},
    ),
    "minio:index/iamPolicy:IamPolicy": Case(
        raw={"name": "contract-policy", "policy": json.dumps(IAM)},
        change={"policy": json.dumps(IAM).replace("/x/", "/y/").replace("::x", "::y")},
        changed={"policy"},
        drift=lambda client, id_: client.admin("policy_add", id_, policy=IAM),
        drifted={"policy"},
    ),
    "minio:index/iamUser:IamUser": Case(
        raw={"name": "contract-user2", "secret": "first-secret"},
        change={"secret": "second-secret", "disableUser": True},
        changed={"secret", "disableUser"},
        drift=lambda client, id_: client.admin("user_enable", id_),
        drifted={"disableUser"},
    ),
    "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment": Case(
        prepare=_iam_user,
        clean=_no_iam_user,
        raw={"userName": "contract-user", "policyName": "contract-rule"},
        change={},
        changed=set(),
        drift=lambda client, id_: None,  # it is there, or it is not
        drifted=set(),
    ),
    "postgresql:index/database:Database": Case(
        prepare=_owner,
        clean=_no_owner,
        raw={"name": "contract", "connectionLimit": 5.0, "owner": "contract_owner"},
        change={"connectionLimit": 7, "name": "contract_renamed"},
        changed={"connectionLimit", "name"},
        drift=_sql("ALTER DATABASE contract_renamed OWNER TO postgres"),
        drifted={"owner"},
    ),
    "postgresql:index/role:Role": Case(
        prepare=_owner,
        clean=_no_owner,
        raw={
            "name": "contract_role",
            "login": True,
            "password": "first",
            "roles": ["contract_owner", "pg_monitor"],
            "searchPaths": ["Gold", "$user"],
            "statementTimeout": 60000,
            "validUntil": "2040-01-31T01:00:00+01:00",
        },
        change={"password": "second", "createDatabase": True, "roles": ["pg_monitor"]},
        changed={"password", "createDatabase", "roles[0]", "roles[1]"},
        drift=_sql("ALTER ROLE contract_role PASSWORD 'by hand'"),
        drifted={"password"},
    ),
    "postgresql:index/schema:Schema": Case(
        prepare=_owner,
        clean=_no_owner,
        raw={"name": "contract", "database": "postgres", "owner": "contract_owner"},
        change={"name": "contract_renamed", "dropCascade": True},
        changed={"name", "dropCascade"},
        drift=_sql("ALTER SCHEMA contract_renamed OWNER TO postgres"),
        drifted={"owner"},
        imports=frozenset({"dropCascade"}),
    ),
    "postgresql:index/grant:Grant": Case(
        prepare=_lake,
        clean=_no_lake,
        raw={
            "role": "contract_reader",
            "database": "contract_lake",
            "schema": "gold",
            "objectType": "table",
            "privileges": ["select", "INSERT"],
        },
        change={"privileges": ["SELECT"]},
        changed={"privileges[0]", "privileges[1]"},
        drift=_sql("REVOKE SELECT ON gold.b FROM contract_reader", database="contract_lake"),
        drifted={"privileges[0]"},
    ),
    "postgresql:index/defaultPrivileges:DefaultPrivileges": Case(
        prepare=_lake,
        clean=_no_lake,
        raw={
            "role": "contract_reader",
            "database": "contract_lake",
            "schema": "gold",
            "owner": "postgres",
            "objectType": "table",
            "privileges": ["SELECT", "UPDATE"],
        },
        change={"privileges": ["SELECT", "INSERT"]},
        changed={"privileges[0]", "privileges[1]"},
        drift=_sql(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA gold REVOKE INSERT ON TABLES FROM contract_reader",
            database="contract_lake",
        ),
        drifted={"privileges[0]", "privileges[1]"},
    ),
    "elasticstack:index/componentTemplate:ComponentTemplate": Case(
        raw={"name": "contract", "template": TEMPLATE, "version": 1.0, "metadata": '{"b": 1}'},
        change={"version": 2},
        changed={"version"},
        drift=_call(
            "PUT",
            "/_component_template/contract",
            {
                "template": {
                    "settings": {"refresh_interval": "9s", "number_of_shards": 1},
                    "mappings": json.loads(TEMPLATE["mappings"]),
                    "aliases": {"all-logs": {"filter": {"term": {"level": "x"}}}},
                },
                "version": 2,
                "_meta": {"b": 1},
            },
        ),
        drifted={"template.settings"},
    ),
    "elasticstack:index/indexLifecycle:IndexLifecycle": Case(
        raw={
            "name": "contract",
            "hot": {"setPriority": {"priority": 100.0}},
            "delete": {"minAge": "30d", "delete": {}},
            "metadata": '{"b": 1}',
        },
        change={"delete": {"minAge": "90d", "delete": {}}},
        changed={"delete.minAge"},
        drift=_call(
            "PUT",
            "/_ilm/policy/contract",
            {
                "policy": {
                    "phases": {
                        "hot": {"actions": {"set_priority": {"priority": 100}}},
                        "warm": {"actions": {"forcemerge": {"max_num_segments": 1}}},
                        "delete": {"min_age": "5d", "actions": {"delete": {}}},
                    },
                    "_meta": {"b": 1},
                }
            },
        ),
        drifted={"delete.minAge", "warm"},
    ),
    "elasticstack:index/indexTemplate:IndexTemplate": Case(
        raw={
            "name": "contract",
            "indexPatterns": ["logs-b-*", "logs-a-*"],
            "template": TEMPLATE,
            "priority": 500.0,
            "dataStream": {},
        },
        change={"indexPatterns": ["logs-a-*"]},
        changed={"indexPatterns[1]"},
        drift=_call(
            "PUT",
            "/_index_template/contract",
            {
                "index_patterns": ["logs-a-*"],
                "priority": 501,
                "data_stream": {},
                "template": {
                    "settings": {"refresh_interval": "5s", "number_of_shards": 1},
                    "mappings": json.loads(TEMPLATE["mappings"]),
                    "aliases": {"all-logs": {"filter": {"term": {"level": "x"}}}},
                },
            },
        ),
        drifted={"priority"},
    ),
    "elasticstack:index/securityRole:SecurityRole": Case(
        raw={
            "name": "contract",
            "clusters": ["monitor", "all"],
            "indices": [
                {"names": ["logs-*"], "privileges": ["write", "read"]},
                {"names": ["airbyte-*", "a-*"], "privileges": ["read"]},
            ],
        },
        change={"clusters": ["monitor"]},
        changed={"clusters[0]", "clusters[1]"},
        drift=_call(
            "PUT",
            "/_security/role/contract",
            {
                "cluster": ["monitor"],
                "indices": [
                    {"names": ["logs-*"], "privileges": ["all"]},
                    {"names": ["airbyte-*", "a-*"], "privileges": ["read"]},
                ],
            },
        ),
        drifted={"indices[1].privileges[0]", "indices[1].privileges[1]"},
    ),
    "elasticstack:index/securityUser:SecurityUser": Case(
        raw={
            "username": "contract",
            "password": "first-password",
            "roles": ["monitoring_user", "editor"],
            "fullName": "A B",
        },
        change={"password": "second-password", "email": "a@b.c"},
        changed={"password", "email"},
        drift=_call("PUT", "/_security/user/contract/_disable"),
        drifted={"enabled"},
    ),
    "elasticstack:index/snapshotLifecycle:SnapshotLifecycle": Case(
        prepare=_repository,
        raw={
            "name": "contract",
            "repository": "contract-backups",
            "schedule": "0 30 1 * * ?",
            "indices": ["logs-*", "audit-*"],
            "includeGlobalState": False,
            "metadata": '{"b": 1}',
            "expireAfter": "30d",
            "minCount": 7.0,
        },
        change={"schedule": "0 30 2 * * ?", "maxCount": 50, "ignoreUnavailable": True},
        changed={"schedule", "maxCount", "ignoreUnavailable"},
        drift=_call(
            "PUT",
            "/_slm/policy/contract",
            {
                "name": "<snap-{now/d}>",
                "schedule": "0 30 2 * * ?",
                "repository": "contract-backups",
                "config": {
                    "indices": ["logs-*", "audit-*"],
                    "include_global_state": False,
                    "ignore_unavailable": True,
                    "metadata": {"b": 1},
                },
                "retention": {"expire_after": "5d", "min_count": 7, "max_count": 50},
            },
        ),
        drifted={"expireAfter"},
    ),
    "elasticstack:index/snapshotRepository:SnapshotRepository": Case(
        raw={"name": "contract", "fs": {"location": "contract", "maxNumberOfSnapshots": 20.0}},
        change={"fs": {"location": "contract", "compress": False}, "verify": False},
        changed={"fs.compress", "fs.maxNumberOfSnapshots", "verify"},
        drift=_call(
            "PUT",
            "/_snapshot/contract",
            {
                "type": "fs",
                "settings": {"location": "contract", "compress": False, "chunk_size": "1gb"},
            },
        ),
        drifted={"fs.chunkSize"},
        imports=frozenset({"verify"}),
    ),
    "elasticstack:index/clusterSettings:ClusterSettings": Case(
        raw={
            "persistent": {
                "settings": [
                    {"name": "search.default_search_timeout", "value": "30s"},
                    {"name": "action.auto_create_index", "value": "true"},
                ]
            }
        },
        change={
            "persistent": {"settings": [{"name": "search.default_search_timeout", "value": "40s"}]}
        },
        changed={
            *("persistent.settings[0].name", "persistent.settings[0].value"),
            "persistent.settings[1]",
        },
        drift=_call(
            "PUT", "/_cluster/settings", {"persistent": {"search.default_search_timeout": "50s"}}
        ),
        drifted={"persistent.settings[0].value"},
    ),
}
