"""The native provider for objects of Kubernetes: any kind, plans by dry runs, partial failures."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2 as proto

from dynamic_providers.handler import UNKNOWN, Props
from plugins.kubernetes.objects import AUTONAMED, FIELD_MANAGER, MANAGER, Objects, data_fields
from plugins.kubernetes.readiness import NotReady, annotation
from plugins.provider import (
    Difference,
    NativeHandler,
    NativeProvider,
    canonical,
    diff_response,
    differences,
    merged,
    named_secrets,
    outputs_of,
    same_name,
)
from plugins.wire import decode, encode, has_unknown

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

    async def Diff(  # noqa: N802
        self, request: proto.DiffRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.DiffResponse:
        async def diff(handler: Any) -> proto.DiffResponse:
            old = canonical(handler, decode(request.old_inputs)[0])
            new = decode(request.news)[0]
            found = _noticed(differences(old, new))
            replaced: set[str] = set()
            if found:
                found, replaced = await self._weighed(handler, request, old, new, found)
            # By path, not by field: of a spec some parts can be changed and some cannot.
            response = diff_response([(p, kind, p) for p, kind, _ in found], frozenset(replaced))
            autonamed = annotation(old, AUTONAMED) == "true"  # the new one gets another name
            response.deleteBeforeReplace = (
                bool(response.replaces) and not autonamed and same_name(handler, old, new)
            )
            return response

        return await self._answer(request, context, diff)

    async def Create(  # noqa: N802
        self, request: proto.CreateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.CreateResponse:
        async def create(handler: Any) -> proto.CreateResponse:
            spec, secret = decode(request.properties)
            if request.preview:
                if not has_unknown(spec) and not self._is_unknown():
                    await self._call(handler.try_out, spec)
                marked = secret | named_secrets(handler)
                return proto.CreateResponse(properties=encode(handler.foreseen(spec), marked))
            try:
                live = await self._within(request.timeout, handler.create, spec)
            except NotReady as error:
                await self._abort(request, context, handler, error, spec, secret)
            outputs, marked = outputs_of(handler, live, spec, secret)
            return proto.CreateResponse(id=live.id, properties=encode(outputs, marked))

        return await self._answer(request, context, create)

    async def Update(  # noqa: N802
        self, request: proto.UpdateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.UpdateResponse:
        async def update(handler: Any) -> proto.UpdateResponse:
            spec, secret = decode(request.news)
            if request.preview:
                outputs = merged(decode(request.olds)[0], spec)
                marked = secret | named_secrets(handler)
                return proto.UpdateResponse(properties=encode(outputs, marked))
            old = canonical(handler, decode(request.old_inputs)[0])
            try:
                live = await self._within(request.timeout, handler.update, request.id, old, spec)
            except NotReady as error:
                await self._abort(request, context, handler, error, spec, secret)
            outputs, marked = outputs_of(handler, live, spec, secret)
            return proto.UpdateResponse(properties=encode(outputs, marked))

        return await self._answer(request, context, update)

    async def Delete(  # noqa: N802
        self, request: proto.DeleteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        async def delete(handler: Any) -> empty_pb2.Empty:
            known = canonical(handler, decode(request.old_inputs)[0])
            await self._within(request.timeout, handler.delete, request.id, known)
            return empty_pb2.Empty()

        return await self._answer(request, context, delete)

    # ---- what the calls share

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
        request: proto.DiffRequest,
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
        plan = await self._call(handler.plan, request.id, old, new)
        for field, free in plan.immutable:
            refused = _below(found, (field,)) - _below(found, (f"{field}.{name}" for name in free))
            replaced |= refused or {path for path, _, _ in found}
        if replaced or plan.live is None or plan.left is None:
            return found, replaced
        gone = [d for d in _noticed(differences(old, plan.left)) if d[1] == "DELETE"]
        return _noticed(differences(plan.live, new)) + gone, set()

    async def _abort(
        self,
        request: Any,
        context: grpc.aio.ServicerContext[Any, Any],
        handler: Objects,
        error: NotReady,
        spec: Props,
        secret: Any,
    ) -> None:
        """Tells the engine that the object is there, but not ready: it keeps it in the state,
        and the next run goes on with it."""
        live = handler.live(error.live, spec)
        outputs, marked = outputs_of(handler, live, spec, secret)
        text = self._redact(str(error), request)
        partial = proto.ErrorResourceInitFailed(
            id=live.id,
            properties=encode(outputs, marked),
            inputs=encode(spec, secret | named_secrets(handler)),
            reasons=[text],
        )
        detail = any_pb2.Any()
        detail.Pack(partial)
        code = grpc.StatusCode.UNKNOWN
        status = status_pb2.Status(code=code.value[0], message=text, details=[detail])
        await context.abort(code, text, (("grpc-status-details-bin", status.SerializeToString()),))


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
