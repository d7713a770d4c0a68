"""One HTTP client for every product API: authentication, retries, time-outs, redaction."""

import json
import ssl
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import tenacity

TIMEOUT_S = 30.0
RETRY_DEADLINE_S = 60.0
RETRIED = frozenset({429, 502, 503, 504})
# After these, a POST may have done its work: sent again it could make a second object.
UNDECIDED = frozenset({0, 409, 502, 504})
REDACTED = "[secret]"
NO_JSON = "the answer to the log-in is not JSON"

T = TypeVar("T")


class ApiError(Exception):
    """The service refused a call, or could not be reached (status 0).

    body: the JSON of the answer, where it had any. It may hold secrets.
    """

    def __init__(
        self,
        service: str,
        method: str,
        path: str,
        status: int,
        message: str,
        body: Any = None,
    ) -> None:
        super().__init__(f"{service}: {method} {path}: {status or 'no answer'}: {message}")
        self.status = status
        self.message = message
        self.body = body


@dataclass(frozen=True, repr=False)
class Session:
    """A log-in: the headers that prove it, and when it ends (time.monotonic, seconds)."""

    headers: Mapping[str, str]
    ends_at_s: float


class SessionAuth(httpx.Auth):
    """Logs in before the first call, again when the session ends, and once after a 401."""

    requires_response_body = True

    def __init__(self) -> None:
        self._session: Session | None = None

    @abstractmethod
    def log_in(self) -> Generator[httpx.Request, httpx.Response, Session | None]:
        """Yields the calls that log in. Returns None when the service refuses: its last answer
        is then the answer to the caller."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # Threads may log in at the same time: each session is valid, one is kept.
        session = self._session
        if session is None or time.monotonic() >= session.ends_at_s:
            session = self._session = yield from self.log_in()
            if session is None:
                return
        request.headers.update(session.headers)
        answer = yield request
        if answer.status_code == 401:
            session = self._session = yield from self.log_in()
            if session is not None:
                request.headers.update(session.headers)
                yield request


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
    secrets: values that must not show in an error. verify: whom an https service must be
    certified by; True stands for the authorities that this machine trusts.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        verify: ssl.SSLContext | bool = True,
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
            verify=verify,
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

        Network faults and the statuses in RETRIED are retried with back-off until the deadline;
        of a POST, only those that leave no doubt that nothing was done.
        Raises ApiError for every other failure.
        """
        try:
            return self.require(method, path, body, params=params, headers=headers)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def require(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """As `send`, but a 404 is an ApiError like every other failure."""
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
            error = ApiError(self.service, method, path, 0, text)
            unsent = isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout)
            raise _transient(error, repeatable=unsent or method != "POST") from None
        except json.JSONDecodeError as fault:  # of a log-in, so the call itself was not done
            error = ApiError(self.service, method, path, 0, NO_JSON)
            # What begins as JSON was cut off and may come whole; a page will stay a page.
            cut_off = fault.doc.lstrip().startswith(("{", "["))
            raise (_Transient(error, 0.0) if cut_off else error) from None
        if answer.is_success:
            try:
                return answer.json() if answer.content.strip() else {}
            except ValueError:
                error = ApiError(
                    self.service, method, path, answer.status_code, "the answer is not JSON"
                )
                raise _transient(error, repeatable=method == "GET") from None
        body = _json(answer)
        text = self.redact(_message(answer, body))
        error = ApiError(self.service, method, path, answer.status_code, text, body)
        if answer.status_code in RETRIED:
            repeatable = method != "POST" or answer.status_code not in UNDECIDED
            raise _transient(error, _retry_after_s(answer), repeatable=repeatable)
        raise error

    def redact(self, text: str) -> str:
        """`text` without the client's secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text

    def close(self) -> None:
        self._http.close()


def post_once(post: Callable[[], T], find: Callable[[], T | None]) -> T:
    """What `post` made. Where its answer leaves open whether the object was made, or somebody
    else was faster (409), the object that `find` finds; raises ApiError if there is none."""
    try:
        return post()
    except ApiError as error:
        found = find() if error.status in UNDECIDED else None
        if found is None:
            raise
        return found


def _transient(error: ApiError, retry_after_s: float = 0.0, *, repeatable: bool) -> Exception:
    return _Transient(error, retry_after_s) if repeatable else error


def _retry_after_s(answer: httpx.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _message(answer: httpx.Response, body: Any) -> str:
    """The useful text of an error body; each product puts it elsewhere."""
    if body is None:
        return answer.text[:500]
    if not isinstance(body, dict):
        return str(body)[:500]
    data = body.get("data")
    nested = data.get("message") if isinstance(data, dict) else None
    for text in (nested, body.get("errorMessage"), body.get("message"), body.get("detail")):
        if text:
            return str(text)[:500]
    return str(body)[:500]
