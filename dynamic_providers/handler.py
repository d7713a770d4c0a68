"""The contract of a resource handler: one API object as pure functions, without pulumi.

A handler is a module (or object) with the members of `Handler`. `dynamic_providers/adapter.py`
serves it as a dynamic provider, `plugins/provider.py` as a native plugin; both keep the
engine's rules, so a handler only knows its API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

Props = dict[str, Any]

# pulumi.runtime.rpc.UNKNOWN, repeated here because handlers do not import pulumi: a value that
# is known only after another resource was created. Previews only; normalize passes it through.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class InputError(ValueError):
    """A wrong input: `field` is the dotted path of the input, the text never holds a secret."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Live:
    """An object as the service holds it.

    inputs: in the form that normalize returns, so that a difference is drift.
    outputs: values that only the service knows (the handler's COMPUTED). One that is not there
        after a read stays as it is recorded.
    """

    id: str
    inputs: Props
    outputs: Props = field(default_factory=dict)


ClientT = TypeVar("ClientT", contravariant=True)


class Handler(Protocol[ClientT]):
    """Create, read, update and delete of one kind of object.

    KIND: `area/Kind`, for the type token and for messages.
    REPLACE_ON: inputs that the API cannot change in place.
    SECRETS: inputs and outputs that hold secrets. The service masks them, so read keeps the
        known value.
    COMPUTED: names of outputs that are unknown until the object exists.
    """

    @property
    def KIND(self) -> str: ...  # noqa: N802
    @property
    def REPLACE_ON(self) -> frozenset[str]: ...  # noqa: N802
    @property
    def SECRETS(self) -> frozenset[str]: ...  # noqa: N802
    @property
    def COMPUTED(self) -> frozenset[str]: ...  # noqa: N802

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        """Canonical inputs: defaults filled, sets sorted, whole floats back to int. Idempotent,
        no network. UNKNOWN may stand for any value, at any depth, and is left as it is.
        Raises InputError."""

    def natural_key(self, spec: Props) -> str:
        """The name under which the service knows the object: identity for adoption."""

    def create(self, client: ClientT, spec: Props) -> Live:
        """The new object, or the one that an earlier, interrupted run left (same natural key
        and type), brought to `spec`."""

    def read(self, client: ClientT, id_: str, known: Props) -> Live | None:
        """The live object, or None when it is gone. `known` are the last inputs: secrets are
        taken from there, and keys that the user never set stay unset. Empty on import."""

    def update(self, client: ClientT, id_: str, old: Props, spec: Props) -> Live:
        """The object brought from `old` inputs to `spec`. Raises LookupError when it is gone."""

    def delete(self, client: ClientT, id_: str, known: Props) -> None:
        """Returns normally also when the object is gone already."""


@runtime_checkable
class Reviewer(Protocol):
    """What a handler adds when some of its changes destroy data."""

    def review(self, old: Props, new: Props) -> None:
        """Raises InputError, in the preview, if going from `old` to `new` destroys something
        and `new` does not ask for it: names what would be lost, and the input that allows it.

        old: recorded inputs, as the last run or refresh left them. Both are in the form that
        normalize returns, and UNKNOWN may stand for any value of `new`. No network. Not called
        for new objects, nor for deletes, which no check sees: `protect` guards those.
        """


@runtime_checkable
class Renewer(Protocol):
    """What a handler adds when its objects end by themselves."""

    def renewed(self, old: Props, new: Props) -> Props:
        """`new` with an input that differs from that of `old` once the live object has to be
        renewed, so that the preview shows it, and until then is the same. `old` is empty for
        new objects. No network."""
