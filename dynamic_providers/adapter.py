"""Handlers served as Pulumi dynamic providers, and the resource class that registers them.

One stateless subclass of `HandlerProvider` per handler lives in
`dynamic_providers/<area>/resources.py`, beside a typed `DynamicResource`:

    class SpaceProvider(DremioProvider):
        handler = space

    class Space(DynamicResource):
        def __init__(self, resource_name: str, *, name: pulumi.Input[str],
                     opts: pulumi.ResourceOptions | None = None) -> None:
            super().__init__(SpaceProvider, resource_name, {"name": name}, opts)

The module path and the class name of a provider are in the state of every stack for ever: when
one moves, an alias stays behind, or old stacks cannot be destroyed.
"""

import functools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider

from dynamic_providers.api import REDACTED, ApiError
from dynamic_providers.canonical import secret_texts, whole_floats_to_int
from dynamic_providers.handler import UNKNOWN, Handler, InputError, Live, Props, Renewer, Reviewer
from dynamic_providers.stack import Stack


class ResourceError(Exception):
    """A failed operation: names the kind, the natural key, the cause and the next step."""


class HandlerProvider(ResourceProvider):
    """Serves `handler` with the client that `connect` makes.

    A pickled instance holds nothing: state begins with `configure`, in the provider's process.
    Four calls at a time share one instance there, so clients must be thread-safe.
    """

    serialize_as_secret_always = False  # a reference to a class is no secret
    handler: ClassVar[Handler[Any]]

    @staticmethod
    def connect(stack: Stack) -> Any:
        """The handler's client. Opens no connection: previews must work with services down."""
        raise NotImplementedError

    def configure(self, req: ConfigureRequest) -> None:
        # Config has no public way to hand over the whole mapping, which a Stack needs.
        self._stack = Stack(config=dict(req.config._props))
        self._client: Any = None
        self._client_lock = threading.Lock()

    @property
    def client(self) -> Any:
        with self._client_lock:
            if self._client is None:
                self._client = self.connect(self._stack)
            return self._client

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        props = _handler_props(news)
        try:
            spec = self.handler.normalize(props)
            if _olds and isinstance(self.handler, Reviewer):
                self.handler.review(_handler_props(_olds), spec)
            if isinstance(self.handler, Renewer):
                spec = self.handler.renewed(_handler_props(_olds), spec)
            return CheckResult(spec, [])
        except InputError as error:
            return CheckResult(props, [CheckFailure(error.field, error.reason)])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        olds, news = self._inputs(_olds), self._inputs(_news)
        replaces = sorted(key for key in self.handler.REPLACE_ON if olds.get(key) != news.get(key))
        # The new object may have the name of the old one: created first, it would be adopted
        # as the old one, and then deleted with it. An unknown name may turn out to be equal.
        new_key = self.handler.natural_key(news)
        same_name = UNKNOWN in new_key or new_key == self.handler.natural_key(olds)
        # changes=None lets the engine compare inputs: per field, and honouring ignore_changes.
        return DiffResult(
            changes=None, replaces=replaces, delete_before_replace=bool(replaces) and same_name
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        with self._named_errors("create", _handler_props(props)):
            spec = self.handler.normalize(_handler_props(props))
            live = self.handler.create(self.client, spec)
        return CreateResult(live.id, _outputs(spec, live))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        known = self._inputs(props)
        with self._named_errors("read", known, id_):
            live = self.handler.read(self.client, id_, known)
        if live is None:
            return ReadResult(id_="", outs={})  # outs=None would stop the server
        # What the service does not tell stays as it is recorded.
        computed = {k: v for k, v in _handler_props(props).items() if k in self.handler.COMPUTED}
        return ReadResult(live.id, {**computed, **_outputs(live.inputs, live)}, live.inputs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        with self._named_errors("update", _handler_props(_news), _id):
            spec = self.handler.normalize(_handler_props(_news))
            live = self.handler.update(self.client, _id, self._inputs(_olds), spec)
        return UpdateResult(_outputs(spec, live))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        known = self._inputs(_props)
        with self._named_errors("delete", known, _id):
            self.handler.delete(self.client, _id, known)

    def _inputs(self, props: Mapping[str, Any]) -> Props:
        """The inputs among recorded outputs, which repeat them beside the computed ones."""
        computed = self.handler.COMPUTED
        return {k: v for k, v in _handler_props(props).items() if k not in computed}

    @contextmanager
    def _named_errors(self, verb: str, props: Props, id_: str = "") -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fail(verb, props, id_, error)

    def _fail(self, verb: str, props: Props, id_: str, error: Exception) -> NoReturn:
        try:
            key = self.handler.natural_key(props)
        except (KeyError, TypeError):  # recorded by an older release, or wrong: the id is left
            key = id_
        text = str(error) if _is_expected(error) else f"{type(error).__name__}: {error}"
        message = f"{self.handler.KIND} {key!r}: {verb} failed: {text}; {_next_step(error)}"
        secrets = {t for name in self.handler.SECRETS for t in secret_texts(props.get(name))}
        for secret in sorted(secrets, key=len, reverse=True):
            message = message.replace(secret, REDACTED)
        # `from None`: the cause's own text has not been through the redaction.
        raise ResourceError(message).with_traceback(error.__traceback__) from None


class DynamicResource(pulumi.CustomResource):
    """A resource of type `pulumi-python:dynamic/dataflow/<area>:<Kind>`.

    pulumi.dynamic.Resource is not used: it pickles the provider again for each resource, and
    each time deepens the pickler for the next, up to a RecursionError after some hundred.
    """

    def __init__(
        self,
        provider: type[HandlerProvider],
        name: str,
        inputs: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
        *,
        marked: frozenset[str] = frozenset(),
    ) -> None:
        """marked: those of the handler's SECRETS in which the caller has marked what is secret,
        so that changes of the rest can be shown. The engine keeps the marks in the outputs."""
        handler = provider.handler
        hidden = handler.SECRETS - marked
        # A fresh dict: the engine's SDK keeps it. None declares an output of that name.
        props: Props = dict.fromkeys(sorted(handler.COMPUTED))
        for key, value in inputs.items():
            hide = key in hidden and value is not None
            props[key] = pulumi.Output.secret(value) if hide else value
        # mypy takes __hash__ of the instances for that of the class.
        props[PROVIDER_KEY] = serialized(provider)  # type: ignore[arg-type]
        if hidden:
            secret = pulumi.ResourceOptions(additional_secret_outputs=sorted(hidden))
            opts = pulumi.ResourceOptions.merge(opts, secret)
        super().__init__(token(handler.KIND), name, props, opts)

    def output(self, key: str) -> pulumi.Output[Any]:
        """The input or output `key`, as the provider spells it."""
        value: pulumi.Output[Any] = self.__dict__[key]
        return value


def token(kind: str) -> str:
    """The type token of a handler's KIND: `area/Kind`."""
    area, _, name = kind.rpartition("/")
    return f"pulumi-python:dynamic/dataflow/{area}:{name}"


@functools.cache
def serialized(provider: type[HandlerProvider]) -> str:
    """The provider as the engine stores it with each of its resources: a short reference."""
    text: str = serialize_provider(provider())
    return text


def _handler_props(props: Mapping[str, Any]) -> Props:
    kept = {key: value for key, value in props.items() if key != PROVIDER_KEY}
    restored: Props = whole_floats_to_int(_marked_unknowns(kept))
    return restored


def _marked_unknowns(value: Any) -> Any:
    """`value` with the handlers' UNKNOWN for what the SDK reads as an object of its own."""
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _marked_unknowns(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked_unknowns(item) for item in value]
    return value


def _outputs(inputs: Props, live: Live) -> Props:
    # Inputs under their own names: the engine marks an output secret if the input was.
    return {**inputs, **live.outputs}


def _is_expected(error: Exception) -> bool:
    return isinstance(error, ApiError | ValueError | TimeoutError) or _is_gone(error)


def _is_gone(error: Exception) -> bool:
    """LookupError itself is the contract's word for it; a KeyError is a defect."""
    return isinstance(error, LookupError) and not isinstance(error, KeyError | IndexError)


def _next_step(error: Exception) -> str:
    if _is_gone(error):
        return "run pulumi refresh, then pulumi up"
    status = error.status if isinstance(error, ApiError) else None
    if status == 0 or (status or 0) >= 500:
        return "see that the service runs and read its log, then run pulumi up again"
    if status in (401, 403):
        return "see that dataflow:seed is the one with which the service was set up"
    if status == 409:
        return "somebody changed it meanwhile: run pulumi refresh, then pulumi up"
    if isinstance(error, TimeoutError):
        return "wait for the work to end, then run pulumi up again: it is taken over, not repeated"
    return "correct the input, then run pulumi up again"
