"""What changes in the security posture: ports, rights, secrets, TLS, public access."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from review.masking import is_secret_path
from review.paths import ABSENT
from review.preview import SECRET_MARK, UNKNOWN, Field, Preview, Step

PORT, RIGHT, SECRET, TLS, PUBLIC = "port", "right", "secret", "TLS", "public access"

# kind -> what a person calls it. All of these decide who may do what.
RIGHTS: Mapping[str, str] = {
    "dremio:Grant": "grant",
    "dremio:Role": "role",
    "dremio:User": "user",
    "elasticstack:SecurityRole": "role",
    "elasticstack:SecurityUser": "user",
    "kubernetes:ClusterRole": "cluster role",
    "kubernetes:ClusterRoleBinding": "cluster role binding",
    "kubernetes:NetworkPolicy": "network policy",
    "kubernetes:Role": "role",
    "kubernetes:RoleBinding": "role binding",
    "kubernetes:ServiceAccount": "service account",
    "minio:IamGroupPolicyAttachment": "policy attachment",
    "minio:IamPolicy": "policy",
    "minio:IamServiceAccount": "service account",
    "minio:IamUser": "user",
    "minio:IamUserPolicyAttachment": "policy attachment",
    "postgresql:DefaultPrivileges": "default grant",
    "postgresql:Grant": "grant",
    "postgresql:GrantRole": "role membership",
    "postgresql:Role": "role",
    "superset:Role": "role",
    "superset:RowLevelSecurity": "row-level rule",
    "superset:User": "user",
}
CHANGED = "changed"
# Of these a port is one that they listen on; elsewhere it may be one that they connect to.
_LISTENERS = frozenset({"docker:Container", "local:Process"})
_WORKLOADS = frozenset({"DaemonSet", "Deployment", "Ingress", "Service", "StatefulSet"})
_PORT_KEYS = frozenset({"ports", "port", "nodePort", "hostPort", "containerPort", "external"})
# name of a switch, without case and underscores -> the values with which it is off
_TLS_SWITCHES: Mapping[str, frozenset[str]] = {
    "miniossl": frozenset({"false"}),
    "minioinsecure": frozenset({"true"}),
    "secure": frozenset({"false"}),
    "insecure": frozenset({"true"}),
    "usessl": frozenset({"false"}),
    "ssl": frozenset({"false", "off"}),
    "sslmode": frozenset({"disable", "allow", "prefer"}),
    "mode": frozenset({"disable", "allow", "prefer"}),  # of Airbyte's ssl_mode
    "tlsrequired": frozenset({"false"}),
    "verify": frozenset({"false"}),
    "useencryption": frozenset({"false"}),
}
_PLAIN_URL = re.compile(
    r"\b(http|grpc|redis|ldap|amqp)://|UseEncryption=false|sslmode=disable", re.I
)
_TLS_URL = re.compile(r"\b(https|grpc\+tls|rediss|ldaps|amqps)://|UseEncryption=true", re.I)
_PUBLIC_ACL = frozenset({"public", "public-read", "public-read-write", "public-write"})
_EVERYWHERE = ("0.0.0.0", "::", "0.0.0.0/0", "::/0")  # noqa: S104 - what is looked for
_POWER = frozenset(
    {"superuser", "createrole", "createdatabase", "replication", "bypassrowlevelsecurity"}
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """area: port, right, secret, TLS or public access. opens: more is possible than before."""

    area: str
    what: str
    opens: bool


def findings(preview: Preview) -> list[Finding]:
    found = [finding for step in preview.steps for finding in _of_step(step)]
    areas = [PUBLIC, TLS, RIGHT, PORT, SECRET]
    return sorted(set(found), key=lambda f: (areas.index(f.area), not f.opens, f.what))


def _of_step(step: Step) -> Iterator[Finding]:
    if step.type.startswith("dataflow:"):
        return  # a component: its children say it
    yield from _rights(step)
    yield from _ports(step)
    yield from _secrets(step)
    yield from _tls(step)
    yield from _public(step)


def label(step: Step) -> str:
    return f"{step.kind} `{step.name}`"


def _rights(step: Step) -> Iterator[Finding]:
    if kind := RIGHTS.get(step.kind):
        power = [
            field.path
            for field in step.fields
            if field.path.lower() in _POWER and _truth(field.new)
        ]
        with_ = f" with {', '.join(power)}" if power else ""
        if step.op == "delete":
            yield Finding(area=RIGHT, what=f"{kind} gone: `{_who(step)}`", opens=False)
        elif step.op == "create":
            yield Finding(area=RIGHT, what=f"new {kind}: `{_who(step)}`{with_}", opens=True)
        elif fields := [f.path for f in step.fields if not is_secret_path(f.keys)]:
            text = f"{kind} changed: `{_who(step)}` ({', '.join(fields)}){with_}"
            yield Finding(area=RIGHT, what=text, opens=True)


def _who(step: Step) -> str:
    inputs = step.inputs
    metadata = inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    for key in ("name", "username", "userName", "login"):
        name = name or inputs.get(key)
    parts = [str(name or step.name)]
    if step.kind == "postgresql:Grant":
        rights = ", ".join(map(str, inputs.get("privileges") or ()))
        parts = [f"{inputs.get('role')}: {rights} on {inputs.get('objectType')}"]
    if step.kind == "dremio:Grant":
        parts = [step.name]
    return " ".join(parts)


def _truth(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _ports(step: Step) -> Iterator[Finding]:
    area, _, name = step.kind.partition(":")
    if step.kind not in _LISTENERS and not (area == "kubernetes" and name in _WORKLOADS):
        return
    old, new = _open_ports(step.old), _open_ports(step.new)
    if step.op == "create":
        old = set()
    for port in sorted(new - old):
        yield Finding(area=PORT, what=f"new port {port}: {label(step)}", opens=True)
    for port in sorted(old - new):
        yield Finding(area=PORT, what=f"port {port} closed: {label(step)}", opens=False)


def _open_ports(value: Any, key: str = "") -> set[int]:
    if isinstance(value, Mapping):
        return {port for k, item in value.items() for port in _open_ports(item, str(k))}
    if isinstance(value, list):
        return {port for item in value for port in _open_ports(item, key)}
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {int(value)} if number and key in _PORT_KEYS and 0 < value < 65_536 else set()


def _secrets(step: Step) -> Iterator[Finding]:
    if step.op == "delete":
        return
    paths = sorted({_place(field) for field in step.fields if _is_secret(field)})
    if not paths:
        return
    verb = "new" if step.op in ("create", "import") else CHANGED
    yield Finding(area=SECRET, what=f"{verb} in {label(step)}: {', '.join(paths)}", opens=False)


def _is_secret(field: Field) -> bool:
    return is_secret_path(field.keys) or SECRET_MARK in (field.old, field.new)


def _place(field: Field) -> str:
    return field.path if len(field.path) <= 60 else field.path[:57] + "..."  # noqa: PLR2004


def _leaves(
    value: Any, keys: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*keys, str(key)))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _leaves(item, (*keys, at))
    else:
        yield keys, value


def _changed_leaves(step: Step) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    """Place, old and new value of each leaf that changes or is new."""
    for field in step.fields if step.op != "delete" else ():
        old = dict(_leaves(field.old, field.keys)) if field.old is not ABSENT else {}
        for keys, value in _leaves(field.new, field.keys) if field.new is not ABSENT else ():
            if old.get(keys, ABSENT) != value:
                yield keys, old.get(keys, ABSENT), value


def _tls(step: Step) -> Iterator[Finding]:
    if step.op not in ("update", "replace"):
        # A new object without TLS is the policies' matter: nothing is switched off.
        return
    for keys, old, new in _changed_leaves(step):
        names = [re.sub(r"[_-]", "", str(key)).lower() for key in keys if isinstance(key, str)]
        name = names[-1] if names else ""
        if name == "mode" and "sslmode" not in names:
            continue
        off = _TLS_SWITCHES.get(name, frozenset())
        was_off, is_off = str(old).lower() in off, str(new).lower() in off
        if not off and isinstance(new, str) and isinstance(old, str):
            was_off = bool(_PLAIN_URL.search(old)) and not _TLS_URL.search(old)
            is_off = bool(_PLAIN_URL.search(new)) and not _TLS_URL.search(new)
            if not (_TLS_URL.search(old) or _TLS_URL.search(new)):
                continue
        if is_off == was_off:
            continue
        place = ".".join(map(str, keys))
        verb = "switched off" if is_off else "switched on"
        yield Finding(area=TLS, what=f"{verb}: {label(step)} ({place})", opens=is_off)


def _public(step: Step) -> Iterator[Finding]:
    for keys, old, new in _changed_leaves(step):
        reason = _opening(step, keys, new)
        if reason and not (old is not ABSENT and _opening(step, keys, old)):
            yield Finding(area=PUBLIC, what=f"{reason}: {label(step)}", opens=True)


def _opening(step: Step, keys: Sequence[str | int], value: Any) -> str:
    """How a value opens something to everybody, "" when it does not."""
    name = str(keys[-1]).lower()
    text = str(value)
    if value == UNKNOWN:
        return ""
    if name == "acl" and text in _PUBLIC_ACL:
        return f"acl {text}"
    if step.kind.startswith("minio:") and name == "policy" and _allows_everybody(text):
        return "policy allows everybody"
    if name in ("ip", "host", "bindaddress", "listen", "cidr") and text in _EVERYWHERE:
        return f"{name} {text}"
    if step.kind == "kubernetes:Service" and name == "type":
        return f"service type {text}" if text in ("LoadBalancer", "NodePort") else ""
    if name in ("role", "grantee", "granteename", "name") and text.upper() == "PUBLIC":
        return "granted to PUBLIC" if "grant" in step.kind.lower() else ""
    if name in ("publicrolelike", "public_role_like") and text not in ("", "None", "null"):
        return f"anonymous users are {text}"
    return ""


def _allows_everybody(policy: str) -> bool:
    try:
        statements = json.loads(policy).get("Statement") or []
    except (ValueError, AttributeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return any(
        isinstance(s, Mapping) and s.get("Effect") == "Allow" and _everybody(s.get("Principal"))
        for s in listed
    )


def _everybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return any(_everybody(value) for value in principal.values())
    if isinstance(principal, list):
        return any(map(_everybody, principal))
    return bool(principal == "*")
