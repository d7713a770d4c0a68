"""The native provider for objects of Kubernetes: any kind, plans by dry runs, partial failures."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from dynamic_providers.handler import UNKNOWN, Props
from plugins.kubernetes.objects import AUTONAMED, FIELD_MANAGER, MANAGER, Objects, data_fields
from plugins.kubernetes.readiness import annotation
from plugins.provider import (
    Difference,
    NativeHandler,
    NativeProvider,
    diff_response,
    differences,
    merged,
)
from plugins.wire import has_unknown

# kubernetes:<group>/<version>:<Kind>; the core group is called core/<version>.
TOKEN = re.compile(r"kubernetes:(?:core/(?P<core>v\w+)|(?P<version>[\w.-]+/v\w+)):(?P<kind>\w+)")
SUFFIX_LETTERS = 8  # of an automatic name, as the official plugin's
MANAGER_LETTERS = 8


class KubernetesProvider(NativeProvider):
    async def Cancel(  # noqa: N802
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        self.stop()
        return empty_pb2.Empty()

    async def _compared(
        self, handler: Any, id_: str, old: Props, new: Props
    ) -> proto.DiffResponse:
        found = _noticed(differences(old, new))
        replaced: set[str] = set()
        if found:
            found, replaced = await self._weighed(handler, id_, old, new, found)
        # By path, not by field: of a spec some parts can be changed and some cannot.
        return diff_response([(p, kind, p) for p, kind, _ in found], frozenset(replaced))

    def _same_name(self, handler: NativeHandler, old: Props, new: Props) -> bool:
        return annotation(old, AUTONAMED) != "true" and super()._same_name(handler, old, new)

    async def _foreseen(self, handler: Any, spec: Props, state: Props | None) -> Props:
        if state is not None:
            return merged(state, spec)
        if not has_unknown(spec) and not self._is_unknown():
            await self._call(handler.try_out, spec)
        return dict(handler.foreseen(spec))

    def stop(self) -> None:
        if self._client is not None:
            self._client.cancelled.set()  # objects may be waited for, for many minutes

    def _find(self, token: str) -> NativeHandler | None:
        match = TOKEN.fullmatch(token)
        if match is None or token in self._plugin.absent or match["kind"].endswith("Patch"):
            return None
        return Objects(api_version=match["core"] or match["version"], kind=match["kind"])

    def _named(
        self, handler: NativeHandler, request: proto.CheckRequest, old: Props, raw: Props
    ) -> Props:
        """With a field manager of the resource's own, and a name where it has none."""
        own = hashlib.sha256(request.urn.encode()).hexdigest()[:MANAGER_LETTERS]
        raw = {**raw, FIELD_MANAGER: old.get(FIELD_MANAGER, f"{MANAGER}-{own}")}
        metadata = raw.get("metadata", {})
        if metadata == UNKNOWN or "name" in metadata or "generateName" in metadata:
            return raw
        name = _old_automatic_name(old)
        if name is None:
            suffix = hashlib.sha256(request.randomSeed).hexdigest()[:SUFFIX_LETTERS]
            name = f"{request.urn.rsplit('::', 1)[-1]}-{suffix}"
        notes = {**metadata.get("annotations", {}), AUTONAMED: "true"}
        return {**raw, "metadata": {**metadata, "name": name, "annotations": notes}}

    def _is_unknown(self) -> bool:
        """The cluster, or the way to it, is made by the same run."""
        return self._client is None and has_unknown(self._settings)

    async def _within(self, timeout_s: float, method: Callable[..., Any], *args: Any) -> Any:
        """A handler's method, with the deadline of the resource's customTimeouts."""
        client = await asyncio.to_thread(self._connected)
        own = client.within(timeout_s) if timeout_s else client
        return await asyncio.to_thread(lambda: method(own, *args))

    async def _weighed(
        self,
        handler: Objects,
        id_: str,
        old: Props,
        new: Props,
        found: list[Difference],
    ) -> tuple[list[Difference], set[str]]:
        """What of the changes of the inputs changes the object, and what of it replaces it."""
        identity = ("metadata.name", "metadata.namespace")
        if self._is_unknown():
            return found, _below(found, identity)
        client = await asyncio.to_thread(self._connected)
        replaced = _below(found, (*identity, *data_fields(client, handler)))
        if replaced or has_unknown(new):
            return found, replaced
        plan = await self._call(handler.plan, id_, old, new)
        for field, free in plan.immutable:
            refused = _below(found, (field,)) - _below(found, (f"{field}.{name}" for name in free))
            replaced |= refused or {path for path, _, _ in found}
        if replaced or plan.live is None or plan.left is None:
            return found, replaced
        gone = [d for d in _noticed(differences(old, plan.left)) if d[1] == "DELETE"]
        return _noticed(differences(plan.live, new)) + gone, set()


def _noticed(found: Any) -> list[Difference]:
    """Without the inputs that are the plugin's own."""
    return [difference for difference in found if not difference[2].startswith("__")]


def _below(found: list[Difference], fields: Iterable[str]) -> set[str]:
    """The paths at or below one of `fields`."""
    starts = tuple(start for field in fields for start in (f"{field}.", f"{field}["))
    return {path for path, _, _ in found if f"{path}.".startswith(starts)}


def _old_automatic_name(old: Props) -> Any:
    if annotation(old, AUTONAMED) == "true":
        return old["metadata"].get("name")
    return None
