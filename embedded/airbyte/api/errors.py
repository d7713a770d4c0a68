"""Errors in the two shapes: problems (RFC 9457) of the public API, messages of the Config API."""

import uuid
from typing import Any

DOCS = "https://reference.airbyte.com"
TITLES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "resource-not-found",
    405: "method-not-allowed",
    409: "state-conflict",
    422: "unprocessable-entity",
    423: "locked",
    500: "unexpected-problem",
}
DETAILS = {
    400: "The request was malformed or has invalid values.",
    401: "The request needs a valid bearer token.",
    404: "The requested resource could not be found.",
    409: "The request could not be completed in the current state of the resource.",
    422: "The body of the request was not understood.",
    500: "An unexpected problem has occurred.",
}


class RequestError(Exception):
    """An answer other than success. `message` is the useful text; it never holds a secret."""

    def __init__(self, status: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.data = data


def bad_request(message: str) -> RequestError:
    return RequestError(400, message)


def not_found(resource_type: str, resource_id: object) -> RequestError:
    return RequestError(
        404,
        f"Could not find configuration for {resource_type}: {resource_id}.",
        resourceType=resource_type,
        resourceId=str(resource_id),
    )


def problem(error: RequestError) -> dict[str, Any]:
    title = TITLES.get(error.status, "unexpected-problem")
    return {
        "status": error.status,
        "type": f"error:{title}",
        "title": title,
        "detail": DETAILS.get(error.status, error.message),
        "documentationUrl": f"{DOCS}/reference/errors",
        "data": {"message": error.message, **error.data},
    }


def rpc_error(error: RequestError) -> dict[str, Any]:
    return {"message": error.message, "details": error.data or None, "errorId": str(uuid.uuid4())}
