"""Elasticsearch's REST API whose errors say what to do next."""

import json
import os
import ssl
from typing import Any
from urllib.parse import quote

import httpx

from dynamic_providers.api import ApiClient, ApiError
from dynamic_providers.handler import InputError, Props
from plugins.kind import Fields, ServiceError

RETRY_DEADLINE_S = 30.0
ADVICE = {
    0: "is the server up, and elasticstack:elasticsearch.endpoints its address?",
    401: "check elasticstack:elasticsearch.username and password",
    403: "the plugin's user needs this right, or the licence does not cover it",
}
NO_ROUTE = "no handler found for uri"  # with status 400: the server was built without that API
WITHOUT = (
    "its distribution lacks this API, as the minimal one does: use the default distribution, or "
    "leave the resource out and delete dated indices on a schedule"
)
# The SDK of 2023 sends the settings as JSON text, with keys as the program wrote them.
SPELLINGS = {"api_key": "apiKey", "ca_file": "caFile", "ca_data": "caData"}


class SearchClient:
    def __init__(
        self,
        endpoint: str,
        auth: httpx.Auth | None,
        headers: Props,
        secret: str,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._api = ApiClient(
            "elasticsearch",
            endpoint,
            auth=auth,
            headers=headers,
            secrets=(secret,),
            verify=verify,
            retry_deadline_s=RETRY_DEADLINE_S,
        )
        self._endpoint = endpoint

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """JSON of the answer, None for 404; ServiceError for every other failure."""
        try:
            return self._api.send(method, path, body, params=params or None)
        except ApiError as error:
            advice = WITHOUT if NO_ROUTE in error.message else ADVICE.get(error.status)
            raise ServiceError(
                f"elasticsearch at {self._endpoint}: {error}{': ' + advice if advice else ''}"
            ) from None

    def id_of(self, name: str) -> str:
        """`<cluster uuid>/<name>`, the official plugin's form of an id."""
        return f"{(self.send('GET', '/') or {}).get('cluster_uuid')}/{name}"

    def whole(self, id_: str) -> str:
        """That form of an id which may be a bare name, as of an import."""
        return id_ if "/" in id_ else self.id_of(id_)


def name_in(id_: str) -> str:
    """The name in `<cluster uuid>/<name>`; a bare name may be imported too."""
    return id_.partition("/")[2] or id_


def path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def connect(settings: Props) -> SearchClient:
    """Settings of pulumi_elasticstack.Provider: `elasticsearch`, an object, a list of one, or
    either as JSON text. ELASTICSEARCH_ENDPOINTS (commas between), ELASTICSEARCH_USERNAME,
    ELASTICSEARCH_PASSWORD and ELASTICSEARCH_API_KEY stand in for what is not set."""
    raw = _block(settings.get("elasticsearch", {}))
    fields = Fields(
        {SPELLINGS.get(key, key): value for key, value in raw.items()}, "elasticsearch"
    )
    env = os.environ.get("ELASTICSEARCH_ENDPOINTS")
    endpoints = fields.names(
        "endpoints", env.split(",") if env else None, required=True, ordered=True
    )
    if not endpoints:
        raise InputError("elasticsearch.endpoints", "is empty: expected a URL")
    username = fields.text("username", os.environ.get("ELASTICSEARCH_USERNAME"))
    password = fields.secret("password") or os.environ.get("ELASTICSEARCH_PASSWORD", "")
    key = fields.secret("apiKey") or os.environ.get("ELASTICSEARCH_API_KEY", "")
    if fields.flag("insecure", False):
        raise InputError("elasticsearch.insecure", "is not served here: leave it out")
    verify = _authorities(fields.text("caFile"), fields.text("caData"))
    fields.done()
    auth = httpx.BasicAuth(username, password) if username and not key else None
    headers = {"Authorization": f"ApiKey {key}"} if key else {}
    return SearchClient(endpoints[0], auth, headers, key or password, verify)


def _authorities(file: str, data: str) -> ssl.SSLContext | bool:
    """Those that may vouch for the server; True stands for the machine's."""
    if not (file or data):
        return True
    try:
        return ssl.create_default_context(cafile=file or None, cadata=data or None)
    except (OSError, ssl.SSLError) as fault:
        name = "caFile" if file else "caData"
        raise InputError(f"elasticsearch.{name}", f"no certificates: {fault}") from None


def _block(value: Any) -> Props:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise InputError("elasticsearch", "is not JSON") from None
    if isinstance(value, list):
        value = value[0] if value else {}
    if not isinstance(value, dict):
        raise InputError("elasticsearch", "expected an object with endpoints")
    return value
