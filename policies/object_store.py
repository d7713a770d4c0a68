"""Rules on the object store: buckets, their policies, and the users of MinIO."""

from collections.abc import Iterator

from policies.model import (
    Context,
    Environment,
    Found,
    Resource,
    Rule,
    Severity,
    Stack,
    each_of,
    matches,
    names,
    offence,
    violation,
)
from policies.reading import STARTED, hours, known_text, setting, variables
from policies.values import Node, NotKnown, strings

BUCKET = "minio:index/s3Bucket:S3Bucket"
BUCKET_POLICY = "minio:index/s3BucketPolicy:S3BucketPolicy"
VERSIONING = "minio:index/s3BucketVersioning:S3BucketVersioning"
RETENTION = "minio:index/s3BucketRetention:S3BucketRetention"
LIFECYCLE = "minio:index/ilmPolicy:IlmPolicy"
ENCRYPTION = "minio:index/s3BucketServerSideEncryption:S3BucketServerSideEncryption"
USER = "minio:index/iamUser:IamUser"
POLICY = "minio:index/iamPolicy:IamPolicy"
ATTACHMENT = "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment"
AIRBYTE_DESTINATION = "pulumi-python:dynamic/dataflow/airbyte:Destination"
DREMIO_SOURCE = "pulumi-python:dynamic/dataflow/dremio:Source"
EVERYBODY = ("*", "arn:aws:iam:::*")
ROOT_USERS = ("minio-root", "minioadmin", "root")
AUDIT_DAYS = 90  # specification, "Audit Data Access"
DAYS_OF = {"DAYS": 1, "YEARS": 365}
STALE_UPLOADS, STALE_HOURS = "MINIO_API_STALE_UPLOADS_EXPIRY", 7 * 24


def _statements(document: Node) -> Iterator[Node]:
    yield from document.parsed()["Statement"]


def _strings(node: Node) -> list[str]:
    return strings(node.value)


def _principals(statement: Node) -> list[str]:
    principal = statement["Principal"]
    if isinstance(principal.value, str):
        return [principal.text]
    return [text for _, node in principal.items() for text in _strings(node)]


def _denies_clear_text(statement: Node) -> bool:
    condition = statement["Condition.Bool"].member("aws:SecureTransport")
    return (
        statement["Effect"].text == "Deny"
        and "*" in _principals(statement)
        and {"*", "s3:*"} & set(_strings(statement["Action"])) != set()
        and "false" in (condition.text, *condition.texts())
    )


def _of_bucket(stack: Stack, kind: str, bucket: Resource) -> list[Resource]:
    """Resources of a type that belong to a bucket. Raises NotKnown when one may."""
    name = bucket.props["bucket"].text
    return [one for one in stack.of(kind) if one.props["bucket"].text == name]


def _tls_only(bucket: Resource, stack: Stack, _context: Context) -> Found:
    policies = _of_bucket(stack, BUCKET_POLICY, bucket)
    if not policies:
        yield violation(bucket.props["bucket"], "has no policy", bucket)
    for policy in policies:
        document = policy.props["policy"]
        if not any(_denies_clear_text(one) for one in _statements(document)):
            yield offence(document.path, "allows clear text", policy)


def _private(resource: Resource, _context: Context) -> Found:
    acl = resource.props["acl"]
    if resource.type == BUCKET:
        if acl.text not in ("", "private"):
            yield violation(acl)
        return
    for statement in _statements(resource.props["policy"]):
        public = set(EVERYBODY) & set(_principals(statement))
        if statement["Effect"].text == "Allow" and public:
            yield violation(statement["Principal"])


def _versioned(bucket: Resource, stack: Stack, context: Context) -> Found:
    if matches(bucket.props["bucket"].text, context.settings["unversioned"]):
        return
    found = _of_bucket(stack, VERSIONING, bucket)
    status = [one.props["versioningConfiguration.status"] for one in found]
    if "Enabled" not in [node.text for node in status]:
        yield violation(status[0] if status else bucket.props["bucket"], "no versioning", bucket)


def _locked(bucket: Resource, stack: Stack, context: Context) -> Found:
    if not matches(bucket.props["bucket"].text, context.settings["buckets"]):
        return
    if not (locking := bucket.props["objectLocking"]).on:
        yield violation(locking, of=bucket)
    kept = _of_bucket(stack, RETENTION, bucket)
    if not kept:
        yield violation(bucket.props["bucket"], "has no retention", bucket)
    for one in kept:
        if (mode := one.props["mode"]).text != "COMPLIANCE":
            yield violation(mode, "who may write could delete", one)
        period, unit = one.props["validityPeriod"], one.props["unit"]
        if (period.number or 0) * DAYS_OF.get(unit.text.upper(), 0) < AUDIT_DAYS:
            yield violation(period, f"{unit.shown()}, expected {AUDIT_DAYS} days or more", one)


def _cleaned(bucket: Resource, stack: Stack, context: Context) -> Found:
    rules = [
        rule
        for policy in _of_bucket(stack, LIFECYCLE, bucket)
        for rule in policy.props["rules"]
        if rule["status"].text in ("", "Enabled")
    ]
    name = bucket.props["bucket"]
    old = [rule["noncurrentVersionExpirationDays"].number for rule in rules if _of_all(rule)]
    if not any(old):
        yield violation(name, "old versions stay for ever", bucket)
    for prefix in context.settings["temporary"]:
        if not any(rule["filter"].text == prefix and rule["expiration"].text for rule in rules):
            yield violation(name, f"{prefix} stays for ever", bucket)


def _of_all(rule: Node) -> bool:
    """Whether a rule is for the whole bucket."""
    return rule["filter"].missing and rule["tags"].missing


def _tidy(stack: Stack, context: Context) -> Found:
    yield from each_of(BUCKET, check=_cleaned)(stack, context)
    yield from each_of(*STARTED, check=_uploads_end)(stack, context)


def _uploads_end(server: Resource, _stack: Stack, _context: Context) -> Found:
    """MinIO aborts uploads that nobody completes after a day, unless it is told otherwise."""
    expiry = setting(dict(variables(server)), STALE_UPLOADS, "env")
    if not expiry.missing and not 0 < (hours(expiry.text) or 0) <= STALE_HOURS:
        yield violation(expiry, f"expected {STALE_HOURS}h or less", server)


def _encrypted(bucket: Resource, stack: Stack, _context: Context) -> Found:
    if not _of_bucket(stack, ENCRYPTION, bucket):
        yield violation(bucket.props["bucket"], "no default encryption", bucket)


def _allowed(document: Node) -> Iterator[tuple[Node, list[str], list[str]]]:
    """Statements that allow something, with their actions and resources."""
    for statement in _statements(document):
        if statement["Effect"].text == "Allow":
            yield statement, _strings(statement["Action"]), _strings(statement["Resource"])


def _reaches(resources: list[str], layer: str) -> bool:
    """Whether one of the ARNs takes in objects below a layer's prefix."""
    for one in resources:
        path = one.rpartition(":::")[2].partition("/")[2]
        if one.endswith(":::*") or path == "*" or path.startswith(f"{layer}/"):
            return True
    return False


def _separated(stack: Stack, context: Context) -> Found:
    for policy in stack.of(POLICY):
        try:
            writes, reads = _writes_and_reads(policy.props["policy"])
        except NotKnown:
            continue
        if _reaches(writes, "bronze") and _reaches(reads, "gold"):
            yield offence("policy", "writes bronze and reads gold", policy)
    attachments = list(stack.of(ATTACHMENT))
    if all(one.props["userName"].known for one in attachments):
        served = {one.props["userName"].text for one in attachments}
        for user in stack.of(USER):
            if user.props["name"].known and user.props["name"].text not in served:
                yield violation(user.props["name"], "has no policy", user)
    for resource, key in _keys(stack):
        if key.known and key.text in context.settings["rootUsers"]:
            yield violation(key, "the key of the root user", resource)


def _writes_and_reads(document: Node) -> tuple[list[str], list[str]]:
    writes: list[str] = []
    reads: list[str] = []
    for _, actions, resources in _allowed(document):
        if any(action in ("s3:PutObject", "s3:Put*", "s3:*", "*") for action in actions):
            writes += resources
        if any(action in ("s3:GetObject", "s3:Get*", "s3:*", "*") for action in actions):
            reads += resources
    return writes, reads


def _keys(stack: Stack) -> Iterator[tuple[Resource, Node]]:
    for resource in stack.of(AIRBYTE_DESTINATION):
        yield resource, resource.props["configuration.access_key_id"]
    for resource in stack.of(DREMIO_SOURCE):
        yield resource, resource.props["config.accessKey"]


def _narrow(resource: Resource, _context: Context) -> Found:
    for statement, actions, resources in _allowed(resource.props["policy"]):
        if any(action in ("*", "s3:*") or action.endswith(":*") for action in actions):
            yield violation(statement["Action"])
        on_objects = any("Object" in action or action == "s3:*" for action in actions)
        if on_objects and any(_whole_bucket(one) for one in resources):
            yield violation(statement["Resource"])


def _whole_bucket(arn: str) -> bool:
    bucket, _, path = arn.rpartition(":::")[2].partition("/")
    return bucket == "*" or path in ("", "*")


def _server(resource: Resource, context: Context) -> Found:
    found = dict(variables(resource))
    if known_text(kind := setting(found, "MINIO_PROMETHEUS_AUTH_TYPE", "env")) == "public":
        yield violation(kind)
    is_server = any(name.startswith("MINIO_ROOT_") for name in found)
    if is_server and context.environment is Environment.PROD:
        if not (browser := setting(found, "MINIO_BROWSER", "env")).off:
            yield violation(browser)


RULES = (
    Rule(
        id="S01",
        title="Buckets refuse requests in clear text.",
        why="Whoever listens on the network reads the data, and may use a signed address again.",
        fix="add a statement that denies s3:* to all where aws:SecureTransport is false",
        severity=Severity.HIGH,
        stack=each_of(BUCKET, check=_tls_only),
        local_gap="MinIO asks bucket policies for anonymous requests only, which ours denies",
    ),
    Rule(
        id="S02",
        title="Nothing in a bucket is public.",
        why="One statement opens a layer to everybody who finds the address.",
        fix="name the users, and keep the ACL private",
        severity=Severity.HIGH,
        types=(BUCKET, BUCKET_POLICY),
        check=_private,
    ),
    Rule(
        id="S03",
        title="Buckets of data keep old versions.",
        why="An overwritten or deleted table could not be had back.",
        fix="add an S3BucketVersioning with status Enabled",
        severity=Severity.MEDIUM,
        stack=each_of(BUCKET, check=_versioned),
        settings={"unversioned": names(("*logs",), "Buckets whose objects are written once.")},
    ),
    Rule(
        id="S04",
        title="Audit logs cannot be deleted.",
        why="Who breaks in deletes the traces first.",
        fix=f"set objectLocking, and an S3BucketRetention of {AUDIT_DAYS} days, mode COMPLIANCE",
        severity=Severity.HIGH,
        stack=each_of(BUCKET, check=_locked),
        settings={"buckets": names(("*audit*", "*logs"), "Buckets that hold audit logs.")},
    ),
    Rule(
        id="S05",
        title="Buckets are cleaned.",
        why="Old versions, and what jobs and uploads leave behind, fill the disk.",
        fix="add an IlmPolicy with noncurrentVersionExpirationDays for the whole bucket and with "
        f"expiration of tmp/; leave {STALE_UPLOADS} alone",
        severity=Severity.MEDIUM,
        stack=_tidy,
        settings={"temporary": names((), "Prefixes that must expire, such as tmp/.")},
    ),
    Rule(
        id="S06",
        title="Buckets encrypt what they store.",
        why="A lost disk, or a copy of one, discloses the data.",
        fix="add an S3BucketServerSideEncryption; it needs a key service",
        severity=Severity.MEDIUM,
        stack=each_of(BUCKET, check=_encrypted),
        local_gap="MinIO encrypts with a key service only, which one machine does not have",
    ),
    Rule(
        id="S07",
        title="Each service has a user and a policy of its own; none uses the root user.",
        why="A service that is taken over must not reach what it does not work on.",
        fix="give the service an IamUser whose IamPolicy names what it reads and writes",
        severity=Severity.HIGH,
        stack=_separated,
        settings={"rootUsers": names(ROOT_USERS, "Names of root users.")},
    ),
    Rule(
        id="S08",
        title="Policies list actions, and prefixes of a bucket.",
        why="A wildcard grants deletion, and policies themselves.",
        fix="list the actions; end the resource in a prefix, such as arn:aws:s3:::lake/bronze/*",
        severity=Severity.HIGH,
        types=(POLICY,),
        check=_narrow,
    ),
    Rule(
        id="S09",
        title="Metrics ask for a token; the console is off in production.",
        why="Metrics tell names and sizes of buckets; the console is one more way to log in.",
        fix="remove MINIO_PROMETHEUS_AUTH_TYPE=public; set MINIO_BROWSER=off in production",
        severity=Severity.MEDIUM,
        types=STARTED,
        check=_server,
    ),
)
