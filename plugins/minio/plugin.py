"""The minio plugin as data."""

from typing import Any

from dynamic_providers.handler import Props
from plugins.minio.iam_policy import IamPolicy
from plugins.minio.iam_user import IamUser
from plugins.minio.iam_user_policy_attachment import IamUserPolicyAttachment
from plugins.minio.ilm_policy import IlmPolicy
from plugins.minio.s3_bucket import S3Bucket
from plugins.minio.s3_bucket_policy import S3BucketPolicy
from plugins.minio.s3_bucket_versioning import S3BucketVersioning
from plugins.provider import Plugin


def _connect(settings: Props) -> Any:
    from plugins.minio.client import connect  # late: the plugin must answer the engine first

    return connect(settings)


PLUGIN = Plugin(
    name="minio",
    sdk="pulumi_minio",
    connect=_connect,
    secret_settings=frozenset({"minioPassword", "minioSecretKey", "minioSessionToken"}),
    absent={},
    handlers={
        "minio:index/iamPolicy:IamPolicy": IamPolicy(),
        "minio:index/iamUser:IamUser": IamUser(),
        "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment": IamUserPolicyAttachment(),
        "minio:index/ilmPolicy:IlmPolicy": IlmPolicy(),
        "minio:index/s3Bucket:S3Bucket": S3Bucket(),
        "minio:index/s3BucketPolicy:S3BucketPolicy": S3BucketPolicy(),
        "minio:index/s3BucketVersioning:S3BucketVersioning": S3BucketVersioning(),
    },
)
