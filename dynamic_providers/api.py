"""One HTTP client for every product API: authentication, retries, time-outs, redaction."""

from collections.abc import Mapping
from typing import Any

import httpx
import tenacity

TIMEOUT_S = 30.0
RETRY_DEADLINE_S = 60.0
RETRIED = frozenset({429, 502, 503, 504})
REDACTED = "[secret]"


class ApiError(Exception):
    """The service refused a call, or could not be reached (status 0)."""

    def __init__(self, service: str, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{service}: {method} {path}: {status or 'no answer'}: {message}")
        self.status = status
        self.message = message


class _Transient(Exception):
    def __init__(self, error: ApiError, retry_after_s: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s


def _wait(state: tenacity.RetryCallState) -> float:
    backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)(state)
    failure = state.outcome.exception() if state.outcome else None
    return max(backoff, failure.retry_after_s if isinstance(failure, _Transient) else 0.0)


class ApiClient:
    """JSON calls to one service.

    service: name for messages. auth: adds credentials, and renews them on a 401.
    secrets: values that must not show in an error.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        timeout_s: float = TIMEOUT_S,
        retry_deadline_s: float = RETRY_DEADLINE_S,
    ) -> None:
        self.service = service
        self._secrets = tuple(secret for secret in secrets if secret)
        self._retry_deadline_s = retry_deadline_s
        self._http = httpx.Client(
            base_url=base_url,
            auth=auth,
            headers={"Accept": "application/json", **(headers or {})},
            timeout=timeout_s,
        )

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of the answer ({} if empty), or None for 404.

        Network faults and the statuses in RETRIED are retried with back-off until the deadline.
        Raises ApiError for every other failure.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            wait=_wait,
            stop=tenacity.stop_after_delay(self._retry_deadline_s),
            reraise=True,
        )
        try:
            return retrying(self._send_once, method, path, body, params, headers)
        except _Transient as last:
            raise last.error from None

    def _send_once(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Any:
        try:
            answer = self._http.request(method, path, json=body, params=params, headers=headers)
        except httpx.TransportError as fault:
            text = self.redact(f"{type(fault).__name__}: {fault}")
            raise _Transient(ApiError(self.service, method, path, 0, text), 0.0) from None
        if answer.status_code == 404:
            return None
        if answer.is_success:
            try:
                return answer.json() if answer.content.strip() else {}
            except ValueError:
                error = ApiError(
                    self.service, method, path, answer.status_code, "the answer is not JSON"
                )
                raise (_Transient(error, 0.0) if method == "GET" else error) from None
        error = ApiError(
            self.service, method, path, answer.status_code, self.redact(_message(answer))
        )
        if answer.status_code in RETRIED:
            raise _Transient(error, _retry_after_s(answer)) from None
        raise error

    def redact(self, text: str) -> str:
        """`text` without the client's secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text

    def close(self) -> None:
        self._http.close()


def _retry_after_s(answer: httpx.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _message(answer: httpx.Response) -> str:
    """The useful text of an error body; each product puts it elsewhere."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500]
    if not isinstance(body, dict):
        return str(body)[:500]
    data = body.get("data")
    nested = data.get("message") if isinstance(data, dict) else None
    for text in (nested, body.get("errorMessage"), body.get("message"), body.get("detail")):
        if text:
            return str(text)[:500]
    return str(body)[:500]
