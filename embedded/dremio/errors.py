"""Errors as the product classifies them; REST and Flight each map the kind to their own code."""

from enum import Enum


class Kind(Enum):
    """Kind of a failure, with the HTTP status that REST answers."""

    PARSE = ("PARSE", 400)
    VALIDATION = ("VALIDATION", 400)
    UNSUPPORTED = ("UNSUPPORTED_OPERATION", 400)
    DATA_READ = ("DATA_READ", 400)
    FUNCTION = ("FUNCTION", 400)
    PERMISSION = ("PERMISSION", 403)
    NOT_FOUND = ("NOT_FOUND", 404)
    CONFLICT = ("CONCURRENT_MODIFICATION", 409)
    RESOURCE = ("RESOURCE", 500)
    IO = ("IO_EXCEPTION", 500)
    CANCELED = ("CANCELED", 500)
    SYSTEM = ("SYSTEM", 500)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


class EngineError(Exception):
    """A failure that the caller is told about. `message` never holds a secret."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def invalid(message: str) -> EngineError:
    return EngineError(Kind.VALIDATION, message)


def unsupported(message: str) -> EngineError:
    return EngineError(Kind.UNSUPPORTED, message)


def not_found(message: str) -> EngineError:
    return EngineError(Kind.NOT_FOUND, message)


def conflict(message: str) -> EngineError:
    return EngineError(Kind.CONFLICT, message)
