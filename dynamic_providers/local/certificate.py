"""A service's certificate, in `<stackDir>/services/<name>/config/tls/`.

The key is made on this machine, is readable by the service's user alone, and is never in the
state; each renewal makes a new one. The certificate is renewed when a third of its time is left:
by the next `up`, whose preview shows it, and between them by the stack's own renewal service
(renewal.py). A program that does not look at its files gets a signal.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.inputs import is_unknown, texts
from dynamic_providers.local import control, directory, inputs
from dynamic_providers.local.account import account
from dynamic_providers.local.certificate_authority import ca_file
from dynamic_providers.local.directory import ServiceDirectory
from tls.authority import (
    DURATION_DAYS,
    RENEW_BEFORE_DAYS,
    Authority,
    Issued,
    fingerprint,
    hosts,
    load,
)

KIND = "local/Certificate"
REPLACE_ON = frozenset({"name", "stackDir"})
SECRETS: frozenset[str] = frozenset()
COMPUTED = frozenset({"notAfter"})


def normalize(raw: Mapping[str, Any]) -> Props:
    """The inputs of resources.Certificate with their defaults. Raises InputError."""
    spec = {
        "stackDir": inputs.stack_dir(raw),
        **issuance(raw),
        "user": inputs.text(raw, "user"),
        **{
            field: inputs.relative_path(inputs.text(raw, field, default), field)
            for field, default in (
                ("certificateFile", "tls.crt"),
                ("keyFile", "tls.key"),
                ("caFile", "ca.crt"),
            )
        },
        "reloadSignal": inputs.signal_name(raw, "reloadSignal", ""),
    }
    return spec | ({"renewedAt": raw["renewedAt"]} if raw.get("renewedAt") else {})


def issuance(raw: Mapping[str, Any]) -> Props:
    """What every certificate is asked for with: who it is for, by whom, and how long."""
    names = texts(raw.get("hosts") or [], "hosts")
    days = inputs.whole(raw.get("durationDays", DURATION_DAYS), "durationDays", 1, DURATION_DAYS)
    before = inputs.whole(
        raw.get("renewBeforeDays", RENEW_BEFORE_DAYS), "renewBeforeDays", 1, DURATION_DAYS
    )
    if UNKNOWN not in (days, before) and not days <= 3 * before < 3 * days:
        raise InputError(
            "renewBeforeDays", f"{before}: expected a third of {days} or more, and less than it"
        )
    return {
        "name": inputs.name(raw),
        "authority": inputs.text(raw, "authority"),
        "hosts": names if is_unknown(names) else sorted(set(names)),
        "durationDays": days,
        "renewBeforeDays": before,
    }


def renewed(old: Props, new: Props) -> Props:
    """Check of the contract's Renewer: asks for a renewal when the live one is due or gone."""
    known = old.get("renewedAt")
    if known and (UNKNOWN in (new["stackDir"], new["name"]) or not _due(new)):
        return {**new, "renewedAt": known}
    return {**new, "renewedAt": datetime.now(UTC).isoformat(timespec="seconds")}


def natural_key(spec: Props) -> str:
    return f"{spec['stackDir']}/services/{spec['name']}/config/tls"


def create(client: Authority, spec: Props) -> Live:
    """Takes over a certificate that is as wanted and not due."""
    live = renew(client, spec)
    record = _record(spec["stackDir"], spec["name"])
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(spec, indent=2))
    return Live(id=natural_key(spec), inputs=spec, outputs=_outputs(live))


def renew(client: Authority, spec: Props) -> x509.Certificate:
    """The certificate in use: the live one as long as it is good, else a new one."""
    live = _live(spec)
    if live is not None and not _due(spec) and _as_wanted(live, client, spec):
        return live
    issued = client.issue(
        spec["name"], spec["hosts"], now=datetime.now(UTC), days=spec["durationDays"]
    )
    _write(client, spec, issued)
    _reload(spec)
    return load(issued.certificate)


def read(client: Authority, id_: str, known: Props) -> Live | None:
    """What the files say; None also when key and certificate are no pair."""
    folder = ServiceDirectory(Path(id_).parents[1])
    spec = normalize(
        {
            "authority": fingerprint(load(client.certificate)),
            "hosts": ["localhost"],
            **known,
            "stackDir": str(folder.path.parent.parent),
            "name": folder.name,
        }
    )
    live = _live(spec)
    if live is None:
        return None
    found = {"hosts": hosts(live)} | ({} if client.issued(live) else {"authority": ""})
    return Live(id=id_, inputs={**spec, **found}, outputs=_outputs(live))


def update(client: Authority, _id: str, old: Props, spec: Props) -> Live:
    made = create(client, spec)
    kept = {spec[field] for field in ("certificateFile", "keyFile", "caFile")}
    for field in ("certificateFile", "keyFile", "caFile"):
        if old[field] not in kept:
            (directory.of(spec).tls / old[field]).unlink(missing_ok=True)
    return made


def delete(_client: Authority, id_: str, _known: Props) -> None:
    folder = ServiceDirectory(Path(id_).parents[1])
    folder.remove_certificate()
    record = _record(str(folder.path.parent.parent), folder.name)
    record.unlink(missing_ok=True)
    directory.remove_empty(record.parent, record.parent.parent)


def records(stack_dir: str) -> list[Props]:
    """The inputs of every certificate of a stack, for its renewal."""
    return [
        json.loads(path.read_text()) for path in sorted(ca_file(stack_dir).parent.glob("*.json"))
    ]


def _record(stack_dir: str, name: str) -> Path:
    return ca_file(stack_dir).with_name(f"{name}.json")


def _live(spec: Props) -> x509.Certificate | None:
    """The certificate on disk, if it has its key."""
    folder = directory.of(spec).tls
    try:
        certificate = load((folder / spec["certificateFile"]).read_text())
        key = load_pem_private_key((folder / spec["keyFile"]).read_bytes(), None)
    except (OSError, ValueError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _due(spec: Props) -> bool:
    """Whether the certificate on disk is missing or in the time of its renewal."""
    try:
        file = directory.of(spec).tls / spec["certificateFile"]
        ends = load(file.read_text()).not_valid_after_utc
    except (OSError, ValueError):
        return True
    return datetime.now(UTC) >= ends - timedelta(days=spec["renewBeforeDays"])


def _as_wanted(live: x509.Certificate, client: Authority, spec: Props) -> bool:
    days = (live.not_valid_after_utc - live.not_valid_before_utc).days
    ca = directory.of(spec).tls / spec["caFile"]
    return (
        hosts(live) == spec["hosts"]
        and days == spec["durationDays"]
        and client.issued(live)
        and ca.exists()
        and ca.read_text() == client.certificate
    )


def _write(client: Authority, spec: Props, issued: Issued) -> None:
    runner, folder = account(spec["user"]), directory.of(spec)
    folder.make(runner)
    # The certificate last: it is what programs watch, and its key must be there by then.
    for field, content in (
        ("caFile", client.certificate),
        ("keyFile", issued.key),
        ("certificateFile", issued.certificate),
    ):
        secret = field == "keyFile"
        folder.write_file(f"{folder.tls.name}/{spec[field]}", content, runner, secret=secret)


def _reload(spec: Props) -> None:
    daemon = control.of(spec["stackDir"])
    info = daemon.info(spec["name"]) if spec["reloadSignal"] else None
    if info is not None and info.up:
        daemon.call("signalProcess", spec["name"], spec["reloadSignal"])


def _outputs(live: x509.Certificate) -> Props:
    return {"notAfter": live.not_valid_after_utc.isoformat(timespec="seconds")}
