"""Life-cycle rules of a bucket. id: the bucket's name."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from minio.lifecycleconfig import Expiration, Rule

    from plugins.minio.client import MinioClient

DELETE_MARKER = "DeleteMarker"
DAYS = re.compile(r"([1-9]\d*)d")


class IlmPolicy(Kind):
    KIND = "minio/IlmPolicy"
    REPLACE_ON = frozenset({"bucket"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("bucket", required=True)
        fields.each("rules", _rule, lambda rule: str(rule["id"]), required=True)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["bucket"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        return self.update(client, spec["bucket"], {}, spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        missing = ("NoSuchLifecycleConfiguration", "NoSuchBucket")
        live = client.s3("get_bucket_lifecycle", id_, absent=missing)
        if live is None:
            return None
        return Live(
            id=id_,
            inputs=self.normalize({"bucket": id_, "rules": [_from(rule) for rule in live.rules]}),
        )

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        from minio.lifecycleconfig import LifecycleConfig

        if not client.s3("bucket_exists", id_):
            raise LookupError(f"bucket {id_!r} is gone: run pulumi refresh, then up")
        rules = [_to(rule) for rule in spec["rules"]]
        with client.changing(id_):
            client.s3("set_bucket_lifecycle", id_, LifecycleConfig(rules))
        return Live(id=id_, inputs=spec)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        missing = ("NoSuchLifecycleConfiguration", "NoSuchBucket")
        with client.changing(id_):
            client.s3("delete_bucket_lifecycle", id_, absent=missing)


def _rule(fields: Fields) -> None:
    fields.text("id", required=True)
    fields.text("status", "Enabled", among=("Enabled", "Disabled"))
    fields.text("filter")
    fields.field("tags", _tags, None, False)
    days = fields.integer("noncurrentVersionExpirationDays", least=1)
    expiration = fields.text("expiration")
    if expiration is None and days is None:
        raise InputError(
            fields.at("expiration"),
            "is missing: expected it or noncurrentVersionExpirationDays",
        )
    if expiration not in (None, UNKNOWN, DELETE_MARKER) and not DAYS.fullmatch(expiration):
        _date(expiration, fields.at("expiration"))


def _tags(value: Any, at: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError(at, f"{value!r}: expected an object of texts")
    return {str(k): str(v) for k, v in sorted(value.items())}


def _date(text: str, at: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise InputError(
            at, f"{text!r}: expected days like '90d', a date like '2030-01-31', or {DELETE_MARKER}"
        ) from None


def _to(rule: Props) -> "Rule":
    from minio.commonconfig import AndOperator, Filter, Tags
    from minio.lifecycleconfig import NoncurrentVersionExpiration, Rule

    prefix, tags = rule.get("filter", ""), rule.get("tags")
    if tags:
        marked = Tags.new_object_tags()
        marked.update(tags)
        scope = Filter(and_operator=AndOperator(prefix=prefix, tags=marked))
    else:
        scope = Filter(prefix=prefix)
    days = rule.get("noncurrentVersionExpirationDays")
    return Rule(
        status=rule["status"],
        rule_id=rule["id"],
        rule_filter=scope,
        expiration=_expiration(rule["expiration"]) if "expiration" in rule else None,
        noncurrent_version_expiration=NoncurrentVersionExpiration(days) if days else None,
    )


def _expiration(text: str) -> "Expiration":
    from minio.lifecycleconfig import Expiration

    if text == DELETE_MARKER:
        return Expiration(expired_object_delete_marker=True)
    if days := DAYS.fullmatch(text):
        return Expiration(days=int(days[1]))
    return Expiration(date=_date(text, "expiration"))


def _from(rule: "Rule") -> Props:
    found: Props = {"id": rule.rule_id, "status": rule.status}
    scope = rule.rule_filter
    both = scope.and_operator if scope else None
    if prefix := (both.prefix if both else scope.prefix if scope else None):
        found["filter"] = prefix
    if both and both.tags:
        found["tags"] = dict(both.tags)
    elif scope and scope.tag:
        found["tags"] = {scope.tag.key: scope.tag.value}
    if rule.noncurrent_version_expiration:
        days = rule.noncurrent_version_expiration.noncurrent_days
        found["noncurrentVersionExpirationDays"] = days
    if expires := rule.expiration:
        if expires.days:
            found["expiration"] = f"{expires.days}d"
        elif expires.date:
            found["expiration"] = expires.date.date().isoformat()
        else:
            found["expiration"] = DELETE_MARKER
    return found
