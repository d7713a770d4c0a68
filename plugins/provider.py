"""One native provider for every plugin: it keeps the engine's rules over plain handlers.

Built on the engine's gRPC service itself. `pulumi.provider.experimental` (3.259.0) loses the
old inputs of a diff, cannot say that a read object is gone, and fails on unknown values.

Protocol: https://pulumi-developer-docs.readthedocs.io/latest/docs/references/provider.html
"""

import argparse
import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as proto

from dynamic_providers.handler import UNKNOWN, Handler, InputError, Live, Props
from plugins.kind import NotReadyError, ServiceError, compact
from plugins.wire import Place, decode, encode, has_unknown, texts_at

MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit for one gRPC message
CALLS_AT_A_TIME = 128  # threads; the engine starts 4 calls per core, and some wait for minutes
PARENT_POLL_S = 5.0
REDACTED = "[secret]"
REDACTED_LEAST = 4  # characters: shorter texts occur in ordinary words
Answer = TypeVar("Answer")
Difference = tuple[str, str, str]  # path, "ADD" or "DELETE" or "UPDATE", top-level key


class NativeHandler(Handler[Any], Protocol):
    """A handler with the members that plugins.kind.Kind adds."""

    @property
    def NAME(self) -> str: ...  # noqa: N802
    @property
    def NAME_PREFIX(self) -> str: ...  # noqa: N802
    @property
    def STABLE(self) -> frozenset[str]: ...  # noqa: N802


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What `python -m plugins.<name>` serves.

    sdk: Python package of the official SDK; the engine wants a plugin of just its version.
    handlers: dict type token -> handler.
    connect: settings -> client, without a network call. Raises InputError.
    secret_settings: settings that hold secrets.
    absent: dict type token -> why it is not served, where there is a reason to give.
    """

    name: str
    sdk: str
    handlers: Mapping[str, NativeHandler]
    connect: Callable[[Props], Any]
    secret_settings: frozenset[str]
    absent: Mapping[str, str]

    @functools.cached_property
    def version(self) -> str:
        spec = importlib.util.find_spec(self.sdk)
        if spec is None or spec.origin is None:
            raise ServiceError(f"Python package {self.sdk} is missing: install the project's lock")
        described = json.loads((Path(spec.origin).parent / "pulumi-plugin.json").read_text())
        # The elasticstack SDK names no version there and sends that of its package.
        return str(described.get("version") or importlib.metadata.version(self.sdk))


class NativeProvider(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._settings: Props = {}
        self._setting_secrets: set[str] = set()
        self._client: Any = None
        self._connecting = threading.Lock()

    # ---- the provider itself

    async def GetPluginInfo(  # noqa: N802
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    async def Cancel(  # noqa: N802
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()  # calls under way end by themselves; then the engine kills us

    async def CheckConfig(  # noqa: N802
        self, request: proto.CheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.CheckResponse:
        settings, secret = decode(request.news)
        failures = []
        if not has_unknown(settings):
            try:
                self._plugin.connect(settings)
            except InputError as error:
                failures = [proto.CheckFailure(property=error.field, reason=error.reason)]
        marked = secret | {(name,) for name in self._plugin.secret_settings}
        return proto.CheckResponse(inputs=encode(settings, marked), failures=failures)

    async def DiffConfig(  # noqa: N802
        self, request: proto.DiffRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.DiffResponse:
        # A new address or password does not make the objects other objects: never a replace.
        old, new = decode(request.old_inputs)[0], decode(request.news)[0]
        return diff_response(list(differences(old, new)), frozenset())

    async def Configure(  # noqa: N802
        self, request: proto.ConfigureRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.ConfigureResponse:
        """Keeps the settings. They may be unknown in preview, so a fault in them is told when
        the service is first needed."""
        prefix = f"{self._plugin.name}:config:"
        stack = {k.removeprefix(prefix): v for k, v in request.variables.items()}
        settings, secret = decode(request.args)
        self._settings = stack | settings
        self._setting_secrets = texts_at(
            self._settings, secret | {(name,) for name in self._plugin.secret_settings}
        )
        return proto.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,  # outputs as inputs are unsafe with unknown values
        )

    # ---- resources

    async def Check(  # noqa: N802
        self, request: proto.CheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.CheckResponse:
        async def check(handler: NativeHandler) -> proto.CheckResponse:
            raw, secret = decode(request.news)
            named = self._named(handler, request, decode(request.olds)[0], raw)
            try:
                spec = handler.normalize(named)
            except InputError as error:
                reason = self._redact(error.reason, request)
                failure = proto.CheckFailure(property=error.field, reason=reason)
                return proto.CheckResponse(failures=[failure])
            return proto.CheckResponse(inputs=encode(spec, secret | named_secrets(handler)))

        return await self._answer(request, context, check)

    async def Diff(  # noqa: N802
        self, request: proto.DiffRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.DiffResponse:
        async def diff(handler: NativeHandler) -> proto.DiffResponse:
            old, new = canonical(handler, decode(request.old_inputs)[0]), decode(request.news)[0]
            response = await self._compared(handler, request.id, old, new)
            # Else create would adopt the old object under the same name, and delete it then.
            collides = bool(response.replaces) and self._same_name(handler, old, new)
            response.deleteBeforeReplace = collides
            return response

        return await self._answer(request, context, diff)

    async def Create(  # noqa: N802
        self, request: proto.CreateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.CreateResponse:
        async def create(handler: NativeHandler) -> proto.CreateResponse:
            spec, secret = decode(request.properties)
            if request.preview:
                outputs = await self._foreseen(handler, spec, None)
                marked = secret | named_secrets(handler)
                return proto.CreateResponse(properties=encode(outputs, marked))
            work = self._within(request.timeout, handler.create, spec)
            live = await self._ready(request, context, handler, spec, secret, work)
            outputs, marked = outputs_of(handler, live, spec, secret)
            return proto.CreateResponse(id=live.id, properties=encode(outputs, marked))

        return await self._answer(request, context, create)

    async def Read(  # noqa: N802
        self, request: proto.ReadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.ReadResponse:
        async def read(handler: NativeHandler) -> proto.ReadResponse:
            known, secret = decode(request.inputs)
            state, state_secret = decode(request.properties)
            known = canonical(handler, known) if known else {}
            live: Live | None = await self._call(handler.read, request.id, known)
            if live is None:
                return proto.ReadResponse()  # an empty id: the object is gone
            kept = _with_kept_secrets(handler, live, state)
            outputs, marked = outputs_of(handler, kept, known, secret | state_secret)
            return proto.ReadResponse(
                id=live.id,
                properties=encode(outputs, marked),
                inputs=encode(live.inputs, marked),
            )

        return await self._answer(request, context, read)

    async def Update(  # noqa: N802
        self, request: proto.UpdateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> proto.UpdateResponse:
        async def update(handler: NativeHandler) -> proto.UpdateResponse:
            spec, secret = decode(request.news)
            state, _ = decode(request.olds)
            if request.preview:
                outputs = await self._foreseen(handler, spec, state)
                marked = secret | named_secrets(handler)
                return proto.UpdateResponse(properties=encode(outputs, marked))
            old = canonical(handler, decode(request.old_inputs)[0])
            work = self._within(request.timeout, handler.update, request.id, old, spec)
            live = await self._ready(request, context, handler, spec, secret, work)
            kept = _with_kept_secrets(handler, live, state)
            outputs, marked = outputs_of(handler, kept, spec, secret)
            return proto.UpdateResponse(properties=encode(outputs, marked))

        return await self._answer(request, context, update)

    async def Delete(  # noqa: N802
        self, request: proto.DeleteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        async def delete(handler: NativeHandler) -> empty_pb2.Empty:
            known = canonical(handler, decode(request.old_inputs)[0])
            await self._within(request.timeout, handler.delete, request.id, known)
            return empty_pb2.Empty()

        return await self._answer(request, context, delete)

    # ---- what a plugin may do in its own way

    async def _compared(
        self, handler: NativeHandler, id_: str, old: Props, new: Props
    ) -> proto.DiffResponse:
        """What the change of the inputs changes of the object, and whether it replaces it."""
        found = [
            difference
            for difference in differences(old, new)
            # What the service chose stays as it is when the program no longer speaks of it.
            if difference[2] in new or difference[2] not in handler.COMPUTED
        ]
        return diff_response(found, handler.REPLACE_ON, handler.STABLE)

    def _same_name(self, handler: NativeHandler, old: Props, new: Props) -> bool:
        """Whether a replacement gets the name of the object that it replaces."""
        try:
            return handler.natural_key(old) == handler.natural_key(new)
        except KeyError:  # of a state that normalize refuses
            return True

    async def _foreseen(self, handler: NativeHandler, spec: Props, state: Props | None) -> Props:
        """Outputs for a preview. state: outputs of the object, None for a new one."""
        stable = {k: v for k, v in (state or {}).items() if k in handler.STABLE}
        return dict.fromkeys(handler.COMPUTED, UNKNOWN) | stable | spec

    async def _within(self, timeout_s: float, method: Callable[..., Any], *args: Any) -> Any:
        """A handler's method. timeout_s: of the resource's customTimeouts, 0 for none."""
        return await self._call(method, *args)

    def stop(self) -> None:
        """Ends what waits for long: the process ends only when its threads have."""

    def _find(self, token: str) -> NativeHandler | None:
        return self._plugin.handlers.get(token)

    def _named(
        self, handler: NativeHandler, request: proto.CheckRequest, old: Props, raw: Props
    ) -> Props:
        return _with_name(handler, request, old, raw)

    # ---- what all calls share

    async def _call(self, method: Callable[..., Any], *args: Any) -> Any:
        """A handler's method on a thread: client libraries block."""
        return await asyncio.to_thread(lambda: method(self._connected(), *args))

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                unknown = sorted(k for k, v in self._settings.items() if has_unknown(v))
                if unknown:
                    raise ServiceError(
                        f"provider settings {', '.join(unknown)} are not known yet: "
                        "run pulumi up, which creates what they depend on first"
                    )
                try:
                    self._client = self._plugin.connect(self._settings)
                except InputError as error:
                    where = f"{self._plugin.name}:{error.field}"
                    raise ServiceError(
                        f"provider setting {where} {error.reason}: set it on the Provider "
                        "resource, or in the stack's configuration"
                    ) from None
            return self._client

    async def _answer(
        self,
        request: Any,
        context: grpc.aio.ServicerContext[Any, Any],
        work: Callable[[NativeHandler], Awaitable[Answer]],
    ) -> Answer:
        """The result of `work`, or an error of the call that shows no secret."""
        try:
            return await work(self._handler(request))
        except (InputError, LookupError, ServiceError) as error:
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        except Exception as error:
            # Not foreseen: the place in the code helps. Values are in no frame line.
            where = "".join(traceback.format_tb(error.__traceback__))
            text = f"{type(error).__name__}: {error}\n{where}"
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, self._redact(text, request))
        raise AssertionError("abort returned")

    async def _ready(
        self,
        request: Any,
        context: grpc.aio.ServicerContext[Any, Any],
        handler: NativeHandler,
        spec: Props,
        secret: frozenset[Place],
        work: Awaitable[Live],
    ) -> Live:
        """The result of `work`. An object that is there, but not ready, goes into the state, so
        that the next run goes on with it."""
        try:
            return await work
        except NotReadyError as error:
            outputs, marked = outputs_of(handler, error.live, spec, secret)
            text = self._redact(str(error), request)
            partial = proto.ErrorResourceInitFailed(
                id=error.live.id,
                properties=encode(outputs, marked),
                inputs=encode(spec, secret | named_secrets(handler)),
                reasons=[text],
            )
        detail = any_pb2.Any()
        detail.Pack(partial)
        code = grpc.StatusCode.UNKNOWN
        status = status_pb2.Status(code=code.value[0], message=text, details=[detail])
        await context.abort(code, text, (("grpc-status-details-bin", status.SerializeToString()),))
        raise AssertionError("abort returned")

    def _handler(self, request: Any) -> NativeHandler:
        token = _token(request.urn)
        if handler := self._find(token):
            return handler
        reason = self._plugin.absent.get(token, "")
        raise ServiceError(
            f"type {token} is not served by the project's own {self._plugin.name} plugin"
            f"{': ' + reason if reason else ''}. It serves: "
            f"{', '.join(sorted(self._plugin.handlers))}. The official plugin "
            f"pulumi-resource-{self._plugin.name} serves every type: pulumi plugin install "
            f"resource {self._plugin.name} {self._plugin.version}"
        )

    def _redact(self, text: str, request: Any) -> str:
        secrets = set(self._setting_secrets)
        handler = self._find(_token(request.urn))
        for part in ("news", "olds", "properties", "inputs", "old_inputs"):
            struct = getattr(request, part, None)
            if struct is not None:
                values, places = decode(struct)
                named = named_secrets(handler) if handler else frozenset()
                secrets |= texts_at(values, places | named)
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= REDACTED_LEAST:
                text = text.replace(secret, REDACTED)
        return text


def _token(urn: str) -> str:
    # urn:pulumi:stack::project::parent$types$token::name
    return urn.split("::")[2].rsplit("$", 1)[-1]


def named_secrets(handler: NativeHandler) -> frozenset[Place]:
    return frozenset(tuple(name.split(".")) for name in handler.SECRETS)


def _with_name(
    handler: NativeHandler, request: proto.CheckRequest, old: Props, raw: Props
) -> Props:
    """`raw` with an automatic name where it has none: the old one, else a new one."""
    if not handler.NAME or raw.get(handler.NAME) is not None:
        return raw
    prefix = raw.get(handler.NAME_PREFIX) if handler.NAME_PREFIX else None
    if prefix == UNKNOWN:
        return raw | {handler.NAME: UNKNOWN}
    kept = old.get(handler.NAME)
    if kept is not None and (prefix is None or str(kept).startswith(prefix)):
        return raw | {handler.NAME: kept}
    start = prefix if prefix is not None else f"{request.urn.rsplit('::', 1)[-1]}-"
    return raw | {handler.NAME: start + hashlib.sha256(request.randomSeed).hexdigest()[:7]}


def canonical(handler: NativeHandler, recorded: Props) -> Props:
    """Inputs of the state as today's normalize gives them: an older version, or the official
    plugin, may have written another form of the same."""
    try:
        return handler.normalize(recorded)
    except InputError:
        return recorded


def outputs_of(
    handler: NativeHandler, live: Live, known: Props, secret: frozenset[Place]
) -> tuple[Props, frozenset[Place]]:
    """Outputs and the places to mark: secrets by name, by arrival, and by what they hold."""
    values = merged(live.outputs, live.inputs)
    marked = secret | named_secrets(handler)
    hidden = texts_at(known, marked) | texts_at(values, marked)
    derived = {
        (key,)
        for key, value in live.outputs.items()
        if any(text in compact(value) for text in hidden)
    }
    return values, marked | derived


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Props:
    """`new` over `old`, object by object: of a list it is the new one that counts."""
    found = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def _with_kept_secrets(handler: NativeHandler, live: Live, state: Props) -> Live:
    """A secret that only the creation showed lives on in the state."""
    kept = {
        name: state[name]
        for name in handler.SECRETS & handler.COMPUTED
        if name in state and name not in live.inputs and name not in live.outputs
    }
    return Live(id=live.id, inputs=live.inputs, outputs=live.outputs | kept)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted(old.keys() | new.keys()):
        for path, kind in _compare(_step(key), old.get(key), new.get(key)):
            yield path.lstrip("."), kind, key


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _compare(path + _step(key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            pair = (items[index] if index < len(items) else None for items in (old, new))
            yield from _compare(f"{path}[{index}]", *pair)
    elif new == UNKNOWN or old != new:
        # An unknown value may turn out to be the old one; a preview must show that it may not.
        yield path, "ADD" if old is None else "DELETE" if new is None else "UPDATE"


def _step(key: str) -> str:
    return f".{key}" if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else f"[{json.dumps(key)}]"


def diff_response(
    found: list[Difference], replace_on: frozenset[str], stable: Iterable[str] = ()
) -> proto.DiffResponse:
    replaces = sorted({key for _, _, key in found if key in replace_on})
    detailed = {
        path: proto.PropertyDiff(
            kind=proto.PropertyDiff.Kind.Value(f"{kind}_REPLACE" if key in replace_on else kind),
            inputDiff=True,
        )
        for path, kind, key in found
    }
    return proto.DiffResponse(
        changes=proto.DiffResponse.DIFF_SOME if found else proto.DiffResponse.DIFF_NONE,
        replaces=replaces,
        stables=[] if replaces else sorted(stable),
        diffs=sorted({key for _, _, key in found}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def serve(plugin: Plugin, provider: type[NativeProvider] = NativeProvider) -> None:
    """Serves until the engine ends. The first line on stdout is the port."""
    parser = argparse.ArgumentParser(prog=f"python -m plugins.{plugin.name}")
    parser.add_argument("engine", help="address of the Pulumi engine")
    parser.parse_known_args()  # the engine may add flags for logging and tracing
    asyncio.run(_serve(provider(plugin)))


async def _serve(provider: NativeProvider) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(CALLS_AT_A_TIME))
    # The engine runs plugins in process groups of their own, so Ctrl-C does not reach them. It
    # ends them by SIGINT, and by SIGKILL if they are not gone 5 s later.
    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    size = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.aio.server(options=size)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent and not told_to_end.is_set():  # a killed engine sends no word
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told_to_end.wait(), PARENT_POLL_S)
    provider.stop()
    await server.stop(grace=None)
