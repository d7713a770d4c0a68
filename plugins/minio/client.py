"""MinIO's S3 and admin APIs behind one object whose errors say what to do next."""

import json
import os
import threading
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error

from dynamic_providers.handler import InputError, Props
from plugins.kind import Fields, ServiceError

TIMEOUT_S = 30.0
RETRIES = 3
RETRIED = (502, 503, 504)
DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class MinioClient:
    """`s3` and `admin` call a method of the official clients by name.

    They return None when the server answers with one of the codes in `absent`, and raise
    ServiceError for every other failure.
    """

    def __init__(self, server: str, user: str, password: str, **options: Any) -> None:
        secure = bool(options.get("secure"))
        self.url = f"{'https' if secure else 'http'}://{server}"
        region = options.get("region") or "us-east-1"
        credentials = StaticProvider(user, password, options.get("token"))
        checked = not options.get("insecure")
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=TIMEOUT_S),
            retries=urllib3.Retry(RETRIES, backoff_factor=0.2, status_forcelist=RETRIED),
            cert_reqs="CERT_REQUIRED" if checked else "CERT_NONE",
            ca_certs=options.get("ca_file"),
            maxsize=16,
        )
        shared: dict[str, Any] = {
            "endpoint": server,
            "credentials": credentials,
            "region": region,
            "secure": secure,
            "cert_check": checked,
            "http_client": pool,
        }
        self._s3 = Minio(**shared)
        self._admin = MinioAdmin(**shared)
        self._locks: dict[str, threading.Lock] = {}

    def changing(self, bucket: str) -> threading.Lock:
        """To hold while a setting of `bucket` is changed. The server keeps them all in one
        document, which it reads, changes and writes without a lock: of two changes at once,
        such as a policy and a life cycle, one would be lost."""
        return self._locks.setdefault(bucket, threading.Lock())

    def s3(self, method: str, *args: Any, absent: tuple[str, ...] = (), **named: Any) -> Any:
        return self._call(self._s3, method, args, named, absent)

    def admin(self, method: str, *args: Any, absent: tuple[str, ...] = (), **named: Any) -> Any:
        """The answer's JSON, where it has any."""
        text = self._call(self._admin, method, args, named, absent)
        try:
            return json.loads(text) if text else text
        except ValueError:
            return text

    def _call(
        self, api: Any, method: str, args: tuple[Any, ...], named: Props, absent: tuple[str, ...]
    ) -> Any:
        try:
            return getattr(api, method)(*args, **named)
        except S3Error as error:
            code, message = error.code or "", error.message or ""
        except MinioAdminException as error:
            code, message = _admin_error(error)
        except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise ServiceError(
                f"minio at {self.url}: {method}: {error}: is the server up, and "
                "minio:minioServer its address?"
            ) from None
        if code in absent:
            return None
        advice = ": check minio:minioUser and its rights" if code in DENIED else ""
        raise ServiceError(f"minio at {self.url}: {method}: {code}: {message}{advice}")


def _admin_error(error: MinioAdminException) -> tuple[str, str]:
    try:
        body = json.loads(error._body)
        return str(body["Code"]), str(body["Message"])
    except (ValueError, KeyError, TypeError):
        return str(error._code), str(error._body)[:500]


def connect(settings: Props) -> MinioClient:
    """Settings of pulumi_minio.Provider; MINIO_ENDPOINT, MINIO_USER and MINIO_PASSWORD stand
    in for those that are not set, as with the official plugin."""
    fields = Fields(settings)
    server = fields.text("minioServer", os.environ.get("MINIO_ENDPOINT"), required=True)
    if "/" in server:
        raise InputError("minioServer", f"{server!r}: expected host:port, without a scheme")
    old_user, old_password = fields.text("minioAccessKey"), fields.secret("minioSecretKey")
    user = fields.text("minioUser", old_user or os.environ.get("MINIO_USER"), required=True)
    password = fields.secret("minioPassword") or old_password or os.environ.get("MINIO_PASSWORD")
    if not password:
        raise InputError("minioPassword", "is missing: expected the password of minioUser")
    options = {
        "token": fields.secret("minioSessionToken"),
        "region": fields.text("minioRegion"),
        "secure": fields.flag("minioSsl", False),
        "insecure": fields.flag("minioInsecure", False),
        "ca_file": fields.text("minioCacertFile"),
    }
    fields.text("minioApiVersion", among=("v4",))
    fields.text("version")  # of the plugin: the engine adds it
    fields.text("pluginDownloadURL")
    fields.done()
    return MinioClient(server, user, password, **options)
