"""Object store: a MinIO server, the bucket `datalake`, and one user per service that uses it; or
a bucket of a store that is there already.

Creates the server, the bucket with versioning, life cycle and a policy, and for each `Access` a
user with a policy that names the prefixes it may read and write.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_minio as minio

from components.context import Context
from components.options import child_of
from components.runtime.service import Bucket, Certificate, Endpoint, Readiness, Service
from flow.derive import BUCKET
from services.minio import config as minio_config

METRICS_USER = "prometheus"
REGION = "us-east-1"  # MinIO's name for itself
OLD_VERSIONS_DAYS = 7  # dbt replaces its tables each night: a week of them
ROOT_USER = "minio-root"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one user may do: prefixes of the bucket, such as `bronze`, to read and to write."""

    user: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def policy(self) -> str:
        """The IAM policy document, least privilege (specification, "Access Controls")."""
        prefixes = sorted({*self.read, *self.write})
        statements = [
            _allow(["s3:GetBucketLocation"], [_arn()]),
            _allow(
                ["s3:ListBucket"],
                [_arn()],
                # An empty prefix lists the top folders: clients do so to test a connection.
                {"StringLike": {"s3:prefix": ["", *(f"{prefix}/*" for prefix in prefixes)]}},
            ),
            _allow(["s3:GetObject"], [_arn(prefix) for prefix in prefixes]),
        ]
        if self.write:
            actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"]
            statements.append(_allow(actions, [_arn(prefix) for prefix in sorted(self.write)]))
        return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _arn(prefix: str = "") -> str:
    return f"arn:aws:s3:::{BUCKET}" + (f"/{prefix}/*" if prefix else "")


def _allow(
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    return statement | ({"Condition": condition} if condition else {})


def private_bucket_policy() -> str:
    """Refuses every request that carries no credentials, whatever else is granted later."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": {"AWS": ["*"]},
                    "Action": ["s3:*"],
                    "Resource": [_arn(), f"{_arn()}/*"],
                    "Condition": {"StringEquals": {"aws:principaltype": ["Anonymous"]}},
                }
            ],
        }
    )


def metrics_policy() -> str:
    """What Prometheus needs and no more: it cannot list a single object."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["admin:Prometheus"]}],
        }
    )


CERTIFICATE = Certificate(
    certificate=minio_config.CERTIFICATE_FILE,
    key=minio_config.KEY_FILE,
    ca=minio_config.CA_FILE,
    reload_signal=minio_config.RELOAD_SIGNAL,
)


@dataclass(frozen=True, kw_only=True)
class ExternalStore:
    """A store that is there already: a bucket, and one account that may do everything below it."""

    bucket: str
    region: str
    access_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """retention: folder -> days after which its objects are deleted.
    external: used instead of a server of our own. Its owner sees to versions and life cycle."""

    context: Context
    access: tuple[Access, ...]
    retention: Mapping[str, int]
    external: ExternalStore | None = None


class ObjectStore(pulumi.ComponentResource):
    endpoint: Endpoint
    metrics_token: pulumi.Output[str] | None  # what Prometheus shows to read the metrics

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:storage:ObjectStore", name, None, opts)
        self._args = args
        self._name = args.external.bucket if args.external else BUCKET
        self._users: dict[str, pulumi.Resource] = {}
        self._made: list[pulumi.Resource] = []
        self.metrics_token = None
        if args.external:
            self.endpoint = args.context.runtime.endpoint("minio", "s3")
        else:
            self._serve(name, args)
        self.register_outputs({"url": self.endpoint.url, "bucket": self._name})

    def bucket(self, user: str) -> Bucket:
        """The bucket, with the account of a user of `access`."""
        external = self._args.external
        secret = self._args.context.credentials.secret
        return Bucket(
            endpoint=self.endpoint,
            name=self._name,
            region=external.region if external else REGION,
            access_key=external.access_key if external else user,
            secret_key=external.secret_key if external else secret(f"minio-{user}"),
        )

    def ready(self, user: str) -> list[pulumi.Resource]:
        """What must exist before that account can work."""
        return [*self._made, *([self._users[user]] if user in self._users else [])]

    def after(self, filled: pulumi.Resource) -> None:
        """Lets accounts that ask for `ready` from now on wait for what fills the bucket first."""
        self._made.append(filled)

    def _serve(self, name: str, args: ObjectStoreArgs) -> None:
        secret = args.context.credentials.secret
        running = args.context.runtime.service(_service(args.context), parent=self)
        self.endpoint = running.endpoints["s3"]
        self._provider = minio.Provider(
            f"{name}-provider",
            minio_server=f"{self.endpoint.published.host}:{self.endpoint.published.port}",
            minio_user=ROOT_USER,
            minio_password=secret("minio-root"),
            minio_ssl=self.endpoint.published.scheme == "https",
            minio_cacert_file=self.endpoint.published_ca_file,
            opts=child_of(self, depends_on=[running.resource]),
        )
        bucket = minio.S3Bucket(
            f"{name}-{BUCKET}",
            bucket=BUCKET,
            acl="private",
            force_destroy=not args.context.keep_data,
            opts=child_of(self, provider=self._provider, keep=args.context.keep_data),
        )
        self._made.append(bucket)
        self._history(name, bucket, args.retention)
        minio.S3BucketPolicy(
            f"{name}-{BUCKET}-policy",
            bucket=bucket.bucket,
            policy=private_bucket_policy(),
            opts=child_of(self, provider=self._provider),
        )
        self._users = {
            access.user: self._user(name, access.user, access.policy(), args.context)
            for access in args.access
        }
        self._user(name, METRICS_USER, metrics_policy(), args.context)
        self.metrics_token = pulumi.Output.secret(
            secret(f"minio-{METRICS_USER}").apply(
                lambda key: minio_config.metrics_token(access_key=METRICS_USER, secret_key=key)
            )
        )

    def _history(self, name: str, bucket: minio.S3Bucket, retention: Mapping[str, int]) -> None:
        """Overwritten and deleted objects can be had back for some days, and then go away."""
        expiring: list[minio.IlmPolicyRuleArgsDict] = [
            {
                "id": f"expire-{prefix.strip('/').replace('/', '-')}",
                "filter": prefix,
                "expiration": f"{days}d",
            }
            for prefix, days in sorted(retention.items())
        ]
        versioning = minio.S3BucketVersioning(
            f"{name}-{BUCKET}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child_of(self, provider=self._provider),
        )
        minio.IlmPolicy(
            f"{name}-{BUCKET}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                *expiring,
                {"id": "old-versions", "noncurrent_version_expiration_days": OLD_VERSIONS_DAYS},
            ],
            # MinIO loses one of two settings that reach a bucket at the same time.
            opts=child_of(self, provider=self._provider, depends_on=[versioning]),
        )

    def _user(self, name: str, user: str, policy: str, context: Context) -> pulumi.Resource:
        options = child_of(self, provider=self._provider)
        account = minio.IamUser(
            f"{name}-user-{user}",
            name=user,
            secret=context.credentials.secret(f"minio-{user}"),
            opts=options,
        )
        rights = minio.IamPolicy(f"{name}-policy-{user}", name=user, policy=policy, opts=options)
        return minio.IamUserPolicyAttachment(
            f"{name}-attachment-{user}",
            user_name=account.name,
            policy_name=rights.name,
            opts=options,
        )


def store_settings(name: str, bucket: Bucket, config: Path) -> dict[str, Any]:
    """A bucket and its account, as pipeline/config.py reads them. config: folder of the program's
    files, where `account_files` of that name are."""
    authority = bucket.endpoint.ca_file
    return {
        "url": bucket.endpoint.url,
        "bucket": bucket.name,
        "region": bucket.region,
        "userFile": str(config / f"{name}-user"),
        "passwordFile": str(config / f"{name}-password"),
        **({"caFile": str(authority)} if authority else {}),
    }


def account_files(name: str, bucket: Bucket) -> dict[str, pulumi.Input[str]]:
    """Secret files of a program."""
    return {f"{name}-user": bucket.access_key, f"{name}-password": bucket.secret_key}


def _service(context: Context) -> Service:
    directory = context.runtime.directory("minio")
    ports = context.runtime.ports("minio")
    tls = context.runtime.certificate_files("minio", CERTIFICATE)
    return Service(
        name="minio",
        program="minio",
        command=minio_config.command(
            binary=context.runtime.installed("minio"),
            data_dir=directory / "data",
            members=context.runtime.members("minio", context.sizes["minio"].replicas),
            host=context.runtime.bind_host,
            port=ports["s3"],
            console_port=ports["console"],
            certs_dir=tls.certificate.parent if tls else None,
        ),
        environment=minio_config.environment(
            root_user=ROOT_USER, root_password_file=directory / "config" / "root-password"
        ),
        secret_files={"root-password": context.credentials.secret("minio-root")},
        ports=ports,
        size=context.sizes["minio"],
        certificate=CERTIFICATE,
        readiness=Readiness(kind="http", port=ports["s3"], path="/minio/health/ready"),
    )
