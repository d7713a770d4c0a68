"""One kind of object of the API: the contract of a handler over server-side apply.

id: `<namespace>/<name>`, or `<name>` where the kind has no namespace, as the official plugin's.
"""

import base64
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import NotReadyError, ServiceError
from plugins.kubernetes import readiness
from plugins.kubernetes.client import KubeClient, Refused, Resource
from plugins.kubernetes.fields import Owned, observed, owned

MANAGER = "pulumi-kubernetes"
FIELD_MANAGER = "__fieldManager"  # where an input keeps it, as the official plugin's state
FORCE = "pulumi.com/patchForce"
AUTONAMED = "pulumi.com/autonamed"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # secrets in clear text
REVISION = "deployment.kubernetes.io/revision"  # counted by the controller
# Written by the server, or different at every look.
SERVER_METADATA = frozenset(
    {
        *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation"),
        *("managedFields", "resourceVersion", "selfLink", "uid"),
    }
)
ADDRESSES = ("loadBalancer", "addresses")  # the part of a status that programs use
# Replaced when their data changes, as the official plugin has it, unless a setting allows else.
DATA = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}
IMMUTABLE = re.compile(
    r"immutable|may not be changed|may not change|cannot change|"
    r"updates to \S+ (\S+ )?for fields other than|updates to \S+ are forbidden"
)
EXCEPT = re.compile(r"for fields other than (.*?) are forbidden")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What bringing the live object to its new inputs would do.

    live: the new inputs, with the live values where those would change. None: there is no
        live object, or the API cannot be asked yet.
    left: the old inputs, as far as they would be left.
    immutable: fields whose change the API refuses, each with the parts of it that may change.
    """

    live: Props | None = None
    left: Props | None = None
    immutable: tuple[tuple[str, frozenset[str]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Handler of all objects of one kind."""

    api_version: str
    kind: str

    REPLACE_ON = frozenset[str]()
    COMPUTED = frozenset({"status"})
    STABLE = frozenset[str]()
    NAME = ""  # it stands in the metadata: provider.py gives it
    NAME_PREFIX = ""

    @property
    def KIND(self) -> str:  # noqa: N802
        return f"kubernetes/{self.kind}"

    @property
    def SECRETS(self) -> frozenset[str]:  # noqa: N802
        is_secret = (self.api_version, self.kind) == ("v1", "Secret")
        return frozenset({"data", "stringData"}) if is_secret else frozenset()

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        own = {"apiVersion": self.api_version, "kind": self.kind}
        spec = {key: _plain(value) for key, value in raw.items() if _is_input(key, value)}
        for key, value in own.items():
            if spec.setdefault(key, value) not in (value, UNKNOWN):
                raise InputError(key, f"{spec[key]!r}: expected {value} for this type")
        metadata = spec.get("metadata")
        if metadata == UNKNOWN:
            return spec
        if not isinstance(metadata, dict):
            raise InputError("metadata", "is missing: expected an object with a name")
        if "generateName" in metadata:
            raise InputError(
                "metadata.generateName", "is not served here: leave the name out for one"
            )
        if not metadata.get("name"):
            raise InputError("metadata.name", "is missing: expected a name")
        return spec

    def natural_key(self, spec: Props) -> str:
        metadata = spec["metadata"]
        return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))

    def create(self, client: KubeClient, spec: Props) -> Live:
        path = self._path_of(client, spec)
        live = client.send("GET", path)
        if live and live["metadata"].get("deletionTimestamp"):
            _wait_gone(client, path, live)
            live = None
        if live and not client.upsert and owned(live, _manager(spec)) is None:
            raise ServiceError(
                f"{self.kind} {self.natural_key(spec)} exists already, and this stack did not "
                "make it: import it, or set kubernetes:upsertExistingObjects"
            )
        return self._brought(client, path, spec, force=client.upsert)

    def read(self, client: KubeClient, id_: str, known: Props) -> Live | None:
        path, live = self._look(client, id_)
        if live is None:
            return None
        inputs = self._seen(client, path, live, known) if known else _cleaned(live)
        return self._live(live, inputs)

    def update(self, client: KubeClient, id_: str, old: Props, spec: Props) -> Live:
        path = self._path(client, client.expect(self.api_version, self.kind), id_)
        if client.send("GET", path) is None:
            raise LookupError(f"{self.kind} {id_} is gone: run pulumi refresh, then up")
        return self._brought(client, path, spec, force=False)

    def delete(self, client: KubeClient, id_: str, known: Props) -> None:
        path, live = self._look(client, id_)
        if live is None:
            return  # with its kind, it may be
        policy = readiness.annotation(known, PROPAGATION) or "foreground"
        options = {
            "propagationPolicy": policy.capitalize(),
            "preconditions": {"uid": live["metadata"]["uid"]},  # never one made anew meanwhile
        }
        client.send("DELETE", path, options)
        if readiness.annotation(known, readiness.SKIP) != "true":
            _wait_gone(client, path, live)

    def plan(self, client: KubeClient, id_: str, old: Props, spec: Props) -> Plan:
        """By a dry run, so that the server's defaults and spellings are no change."""
        path, live = self._look(client, id_)
        if live is None:
            return Plan()
        manager = _manager(spec)
        try:
            predicted = self._apply(client, path, spec, force=False, dry_run=True)
        except Refused as error:
            if refused := tuple(_immutable(error)):
                return Plan(immutable=refused)
            raise
        new, before = _body(spec), _body(old)
        left = observed(before, _content(live), _content(predicted), owned(live, manager))
        return Plan(
            live=_as_written(
                observed(new, _content(predicted), _content(live), owned(predicted, manager)), spec
            ),
            left=_as_written(left, old),
        )

    def try_out(self, client: KubeClient, spec: Props) -> None:
        """Raises ServiceError when the API would refuse the new object."""
        path, live = self._look(client, self.natural_key(spec))
        if not path or live is not None:
            return  # its kind is made by the same run, or it is about to be replaced
        try:
            self._apply(client, path, spec, force=False, dry_run=True)
        except Refused as error:
            # Other refusals may be over when it is made: of a quota, of a missing account.
            if error.status == 422 or readiness.FOREVER_REFUSED in str(error):
                raise
        except ServiceError:
            pass  # its namespace is made by the same run

    def foreseen(self, spec: Props) -> Props:
        """The outputs of a new object, in a preview."""
        if (self.api_version, self.kind) == ("v1", "Service") and isinstance(spec["spec"], dict):
            spec = spec | {"spec": {"clusterIP": UNKNOWN, **spec["spec"]}}
        return spec | {"status": UNKNOWN}

    def _seen(self, client: KubeClient, path: str, live: Props, known: Props) -> Props:
        """The known inputs, with the live values where they differ."""
        manager, declared = _manager(known), _body(known)
        fields: Owned | None
        try:
            predicted = self._apply(client, path, known, force=True, dry_run=True)
            fields = owned(predicted, manager)
        except Refused:
            # Not to be brought back in place: a field that cannot be changed was changed.
            predicted, fields = declared, owned(live, manager)
        return _as_written(observed(declared, _content(predicted), _content(live), fields), known)

    def _brought(self, client: KubeClient, path: str, spec: Props, *, force: bool) -> Live:
        live = self._apply(client, path, spec, force=force)
        try:
            return self._live(readiness.wait_ready(client, path, live), spec)
        except readiness.Unready as error:
            raise NotReadyError(str(error), self._live(error.live, spec)) from None

    def _apply(
        self, client: KubeClient, path: str, spec: Props, *, force: bool, dry_run: bool = False
    ) -> Props:
        asked = readiness.annotation(spec, FORCE) == "true"
        try:
            return client.apply(
                path,
                _body(spec),
                _manager(spec),
                force=force or asked or client.force,
                dry_run=dry_run,
            )
        except Refused as error:
            if taken := [c for c in error.causes if c[0] == "FieldManagerConflict"]:
                fields = "; ".join(f"{where} ({message})" for _, message, where in taken)
                raise ServiceError(
                    f"{self.kind} {self.natural_key(spec)}: others manage fields of it: {fields}. "
                    f"Leave them out, or take them over: annotation {FORCE}, or "
                    "kubernetes:enablePatchForce"
                ) from None
            raise

    def _look(self, client: KubeClient, id_: str) -> tuple[str, Props | None]:
        """The object's path, "" where its kind is not served, and the live object."""
        resource = client.resource(self.api_version, self.kind)
        if resource is None:
            return "", None
        path = self._path(client, resource, id_)
        return path, client.send("GET", path)

    def _path_of(self, client: KubeClient, spec: Props) -> str:
        resource = client.expect(self.api_version, self.kind)
        return self._path(client, resource, self.natural_key(spec))

    def _path(self, client: KubeClient, resource: Resource, id_: str) -> str:
        namespace, _, name = id_.rpartition("/")
        return resource.path(namespace or client.namespace, name)

    def _live(self, live: Props, inputs: Props) -> Live:
        metadata = live["metadata"]
        id_ = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        return Live(id=id_, inputs=inputs, outputs=_outputs(live))


def data_fields(client: KubeClient, handler: Objects) -> tuple[str, ...]:
    """Fields whose change replaces the object, though the API would allow it."""
    if handler.api_version != "v1" or handler.kind in client.mutable:
        return ()
    return DATA.get(handler.kind, ())


def _is_input(key: str, value: Any) -> bool:
    return value is not None and key != "status" and (key == FIELD_MANAGER or key[:2] != "__")


def _plain(value: Any) -> Any:
    """Without nulls, and with whole numbers as such: the engine sends floats."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _manager(spec: Props) -> str:
    return str(spec.get(FIELD_MANAGER, MANAGER))


def _body(spec: Props) -> Props:
    """The object as the API wants it. stringData is written as data: the API forgets it, so no
    manager would own it."""
    body = {key: value for key, value in spec.items() if key != FIELD_MANAGER}
    if texts := body.pop("stringData", None):
        coded = {key: base64.b64encode(str(v).encode()).decode() for key, v in texts.items()}
        body["data"] = body.get("data", {}) | coded
    return body


def _as_written(seen: Props, spec: Props) -> Props:
    """The reverse of _body: an observed object in the form of the inputs `spec`."""
    kept = {key: value for key, value in spec.items() if key == FIELD_MANAGER}
    texts = spec.get("stringData")
    if not texts:
        return seen | kept
    data = dict(seen.get("data") or {})
    found = {key: _decoded(data.pop(key)) for key in texts if key in data}
    rest = {key: value for key, value in seen.items() if key != "data"}
    data = {key: value for key, value in data.items() if key in spec.get("data", {})}
    return rest | kept | {"stringData": found} | ({"data": data} if data else {})


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode(errors="replace")


def _content(live: Props) -> Props:
    """Without what differs between two looks at the same object."""
    metadata = {k: v for k, v in live["metadata"].items() if k not in SERVER_METADATA}
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def _cleaned(live: Props) -> Props:
    """The inputs that would make such an object."""
    content = copy.deepcopy(_content(live))
    notes = content["metadata"].get("annotations", {})
    for name in (LAST_APPLIED, REVISION):
        notes.pop(name, None)
    if not notes:
        content["metadata"].pop("annotations", None)
    return content


def _outputs(live: Props) -> Props:
    status = live.get("status") or {}
    outputs = _cleaned(live)
    if uid := live["metadata"].get("uid"):
        outputs["metadata"]["uid"] = uid
    # The rest of a status changes by itself: every refresh would show it.
    return outputs | {"status": {key: status[key] for key in ADDRESSES if status.get(key)}}


def _immutable(error: Refused) -> Iterator[tuple[str, frozenset[str]]]:
    """The fields that cannot be changed in place, if nothing else is wrong."""
    if error.status != 422 or not all(IMMUTABLE.search(message) for _, message, _ in error.causes):
        return
    for _, message, where in error.causes:
        free = EXCEPT.search(message)
        yield where, frozenset(re.findall(r"'(\w+)'", free[1]) if free else ())


def _wait_gone(client: KubeClient, path: str, live: Props) -> None:
    metadata = live["metadata"]
    limit_s = readiness.deadline_s(client, live)
    for _ in client.polls(limit_s):
        seen = client.send("GET", path)
        if seen is None or seen["metadata"]["uid"] != metadata["uid"]:
            return
    held = seen["metadata"].get("finalizers") or (seen.get("spec") or {}).get("finalizers") or []
    told = [
        c["message"]
        for c in (seen.get("status") or {}).get("conditions") or ()
        if c.get("message")
    ]
    raise ServiceError(
        f"{live['kind']} {metadata['name']} is still there {limit_s:.0f} s after its deletion: "
        f"{'; '.join([f'held by {name}' for name in held] + told) or 'nothing says why'}"
    )
