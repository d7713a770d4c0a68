"""The Kubernetes API behind one object: discovery, server-side apply, errors that help.

API conventions: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from dynamic_providers.api import ApiClient, ApiError
from dynamic_providers.handler import Props
from plugins.kind import Fields, ServiceError
from plugins.kubernetes.kubeconfig import Access, access

APPLY = {"Content-Type": "application/apply-patch+yaml"}  # of which JSON is a part
RETRY_DEADLINE_S = 30.0
DEADLINE_S = 600.0  # to become ready, or to be gone: the official plugin's default
NEW_KIND_S = 30.0  # until a kind is served whose definition was just made
CONFLICTS = 5  # writes by others between the server's read and its write: it asks to try again
FIRST_POLL_S, LAST_POLL_S = 0.2, 2.0
ADVICE = {
    0: "is the cluster up, and the kubeconfig's server its address?",
    401: "check the user of the kubeconfig",
    403: "the kubeconfig's user needs this right",
}


class Refused(ServiceError):
    """The API answered with a Status. causes: (reason, message, field) of each."""

    def __init__(self, text: str, error: ApiError) -> None:
        super().__init__(text)
        body = error.body if isinstance(error.body, dict) else {}
        details = body.get("details") or {}
        self.status = error.status
        self.reason = str(body.get("reason", ""))
        self.causes = [
            tuple(str(cause.get(key, "")) for key in ("reason", "message", "field"))
            for cause in details.get("causes") or ()
        ]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """How the API serves a kind. prefix: `/api/v1` or `/apis/<group>/<version>`."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        parts = [self.prefix]
        if self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural] + ([quote(name, safe="")] if name else [])
        return "/".join(parts)


@dataclass(frozen=True, kw_only=True)
class KubeClient:
    """force: take over fields that others manage. upsert: adopt objects that others made.
    mutable: kinds whose data may change in place, of ConfigMap and Secret.
    deadline_s: for an object to become ready, or to be gone.
    """

    api: ApiClient = field(repr=False)
    server: str
    namespace: str
    force: bool = False
    upsert: bool = False
    mutable: frozenset[str] = frozenset()
    deadline_s: float = DEADLINE_S
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    _served: dict[str, dict[str, Resource]] = field(default_factory=dict, repr=False)

    def within(self, deadline_s: float) -> "KubeClient":
        return replace(self, deadline_s=deadline_s)

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """JSON of the answer, None for 404. Raises Refused for every other failure."""
        return self._call(method, path, body, params, None)

    def apply(
        self, path: str, body: Props, manager: str, *, force: bool, dry_run: bool = False
    ) -> Props:
        """The object as it is, or in a dry run would be, with the fields of `body` set and
        those gone that `manager` set before."""
        params = {"fieldManager": manager, "force": json.dumps(force), "fieldValidation": "Strict"}
        if dry_run:
            params["dryRun"] = "All"
        for attempt in range(CONFLICTS):
            try:
                done = self._call("PATCH", path, body, params, APPLY)
            except Refused as error:
                if error.reason != "Conflict" or error.causes or attempt == CONFLICTS - 1:
                    raise
            else:
                if done is None:
                    raise ServiceError(f"kubernetes at {self.server}: PATCH {path}: not found")
                return dict(done)
        raise AssertionError("unreachable")

    def _call(
        self, method: str, path: str, body: Any, params: Props, headers: Any
    ) -> Props | None:
        try:
            done = self.api.send(method, path, body, params=params or None, headers=headers)
        except ApiError as error:
            advice = ADVICE.get(error.status, "")
            if error.status == 403 and "violates PodSecurity" in error.message:
                advice = "the namespace's label pod-security.kubernetes.io/enforce asks for it"
            raise Refused(
                f"kubernetes at {self.server}: {error}{': ' + advice if advice else ''}", error
            ) from None
        return None if done is None else dict(done)

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """None where the API does not serve it (yet)."""
        known = self._served.get(api_version, {})
        if kind not in known:
            known = self._served[api_version] = self._discover(api_version)
        return known.get(kind)

    def expect(self, api_version: str, kind: str) -> Resource:
        """As `resource`, but waits a little: a definition may have been made just now."""
        for _ in self.polls(NEW_KIND_S):
            if found := self.resource(api_version, kind):
                return found
        raise ServiceError(
            f"kind {kind} of {api_version} is not served by the cluster at {self.server}: "
            "install the operator that brings its definition (docs/deploy/prod.md) first"
        )

    def _discover(self, api_version: str) -> dict[str, Resource]:
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        listed = self.send("GET", prefix) or {"resources": []}
        return {
            entry["kind"]: Resource(
                prefix=prefix, plural=entry["name"], namespaced=entry["namespaced"]
            )
            for entry in listed["resources"]
            if "/" not in entry["name"]  # pods/log and the like
        }

    def polls(self, deadline_s: float) -> Iterator[int]:
        """Yields until the deadline, with growing pauses, at least once.

        Raises ServiceError when the engine is told to stop.
        """
        end, pause_s, turn = time.monotonic() + deadline_s, FIRST_POLL_S, 0
        while True:
            yield turn
            turn += 1
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            if self.cancelled.wait(min(pause_s, left_s)):
                raise ServiceError("stopped while waiting: run pulumi up again to go on")
            pause_s = min(pause_s * 1.5, LAST_POLL_S)


def connect(settings: Props) -> KubeClient:
    """Settings of pulumi_kubernetes.Provider."""
    fields = Fields(settings)
    found: Access = access(
        fields.secret("kubeconfig"), fields.text("context"), fields.text("cluster")
    )
    # Client-side apply would need the last configuration in an annotation, secrets and all.
    fields.text("enableServerSideApply", among=("true",))
    force = fields.flag("enablePatchForce", False)
    upsert = fields.flag("upsertExistingObjects", False)
    mutable = {
        kind
        for kind, setting in (
            ("ConfigMap", "enableConfigMapMutable"),
            ("Secret", "enableSecretMutable"),
        )
        if fields.flag(setting, False)
    }
    namespace = fields.text("namespace", found.namespace)
    for ignored in ("suppressDeprecationWarnings", "suppressHelmHookWarnings"):
        fields.flag(ignored, False)
    for engines in ("clusterIdentifier", "kubeClientSettings", "version", "pluginDownloadURL"):
        fields.text(engines)
    fields.done()
    api = ApiClient(
        "kubernetes",
        found.server,
        auth=found.auth,
        secrets=found.secrets,
        retry_deadline_s=RETRY_DEADLINE_S,
        verify=found.tls,
    )
    return KubeClient(
        api=api,
        server=found.server,
        namespace=namespace,
        force=force,
        upsert=upsert,
        mutable=frozenset(mutable),
    )
