"""A real Kubernetes API for a test session, whose nodes kwok plays.

No container runs: kwok tells the API server what kubelets would (tests/support/kwok.yaml).
Everything else is the real thing: admission, defaults, server-side apply, rollouts.
"""

import secrets
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.services.running import Place, wait_until
from tests.support.ports import free_ports
from tools.paths import Paths

HOST = "127.0.0.1"
START_S = 300  # 15 s alone, minutes on a machine with other work
STAGES = Path(__file__).parent / "support/kwok.yaml"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
ZONES = ("a", "b", "c")  # a node in each
VOLUMES = 40
STORAGE_CLASS = "standard"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """kubeconfig: of an account that may do everything. http: logged in as that account."""

    kubeconfig: Path
    http: httpx.Client = field(repr=False)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of the answer, None for 404. A PATCH is a merge."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.http.request(method, path, json=body, headers={"Content-Type": kind})
        if answer.status_code == 404:
            return None
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def kubernetes_cluster(service_place: Callable[[str], Place]) -> Iterator[Cluster]:
    """Three nodes, one to a zone, and VOLUMES volumes of the class STORAGE_CLASS."""
    folder = Paths.find().opt / "kubernetes"
    for name in PROGRAMS:
        if not (folder / name).exists():
            pytest.skip(f"{folder / name} is missing: install it with `bin/dataflow test`")
    place, ports = service_place("kubernetes"), _Ports(*free_ports(5))
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as running:

        def start(name: str, flags: list[str], ready: Callable[[], bool] = lambda: True) -> None:
            own = Place(place.root / name, place.uid, place.gid)
            command = [str(folder / name), *flags]
            processes.append(running.enter_context(own.running(command, ready, timeout_s=START_S)))

        start("etcd", _etcd(place, ports), lambda: _is_ok(f"{ports.etcd_url}/readyz"))
        token_file, token = _account(place)
        start(
            "kube-apiserver",
            _api_server(place, ports, token_file),
            lambda: _is_ok(f"{ports.api_url}/readyz"),
        )
        cluster = _cluster(place, ports, token)
        running.enter_context(cluster.http)
        _populate(cluster)
        common = [f"--kubeconfig={cluster.kubeconfig}", "--leader-elect=false"]
        local = [f"--bind-address={HOST}", f"--cert-dir={place.tmp}"]
        start(
            "kube-controller-manager",
            [
                *common,
                *local,
                f"--secure-port={ports.controllers}",
                f"--service-account-private-key-file={place.config / 'accounts.key'}",
                f"--root-ca-file={place.data / 'apiserver.crt'}",
                "--use-service-account-credentials=false",
                # A busy machine must not look like a lost node, whose pods are not ready.
                "--node-monitor-grace-period=24h",
            ],
        )
        start("kube-scheduler", [*common, *local, f"--secure-port={ports.scheduler}"])
        stages = place.write("kwok.yaml", STAGES.read_text())
        start(
            "kwok",
            [
                f"--kubeconfig={cluster.kubeconfig}",
                f"--config={stages}",
                "--manage-all-nodes=true",
                "--enable-crds=",
                "--cidr=10.244.0.0/16",
            ],
        )
        wait_until(lambda: _is_complete(cluster), START_S, lambda: _alive(processes))
        yield cluster
        # All at once, and first: the API server waits for its clients' calls to end. Each is
        # then told once more, which it obeys at once, and waited for.
        for process in processes:
            process.send_signal(signal.SIGTERM)


@dataclass(frozen=True)
class _Ports:
    etcd: int
    peers: int
    api: int
    controllers: int
    scheduler: int

    @property
    def etcd_url(self) -> str:
        return f"http://{HOST}:{self.etcd}"

    @property
    def api_url(self) -> str:
        return f"https://{HOST}:{self.api}"


def _etcd(place: Place, ports: _Ports) -> list[str]:
    peers = f"http://{HOST}:{ports.peers}"
    return [
        f"--data-dir={place.data / 'etcd'}",
        f"--listen-client-urls={ports.etcd_url}",
        f"--advertise-client-urls={ports.etcd_url}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",  # its data need not outlive the tests
        "--log-level=warn",
    ]


def _account(place: Place) -> tuple[Path, str]:
    """File and token of the account that may do everything. Also makes the key with which the
    API server signs the tokens of service accounts."""
    token = secrets.token_hex(24)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    place.write("accounts.key", pem.decode())
    return place.write("tokens.csv", f"{token},tests,tests,system:masters\n"), token


def _api_server(place: Place, ports: _Ports, token_file: Path) -> list[str]:
    key = place.config / "accounts.key"
    return [
        f"--etcd-servers={ports.etcd_url}",
        f"--secure-port={ports.api}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        "--endpoint-reconciler-type=none",  # else it refuses to be known by a loopback address
        f"--cert-dir={place.data}",  # makes a certificate for itself there
        "--allow-privileged=true",  # so that it is Pod Security that refuses them
        f"--token-auth-file={token_file}",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--shutdown-delay-duration=0s",
    ]


def _cluster(place: Place, ports: _Ports, token: str) -> Cluster:
    certificate = place.data / "apiserver.crt"
    context = {
        "clusters": [
            {
                "name": "tests",
                "cluster": {"server": ports.api_url, "certificate-authority": str(certificate)},
            }
        ],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    head = {"apiVersion": "v1", "kind": "Config"}
    return Cluster(
        kubeconfig=place.write("kubeconfig", yaml.safe_dump(head | context)),
        http=httpx.Client(
            base_url=ports.api_url,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(certificate)),
            timeout=30,
        ),
    )


def _populate(cluster: Cluster) -> None:
    for zone in ZONES:
        labels = {"kubernetes.io/hostname": f"node-{zone}", "topology.kubernetes.io/zone": zone}
        _make(cluster, "/api/v1/nodes", "v1", "Node", f"node-{zone}", {"labels": labels})
    _make(
        cluster,
        "/apis/storage.k8s.io/v1/storageclasses",
        "storage.k8s.io/v1",
        "StorageClass",
        STORAGE_CLASS,
        {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        provisioner="kubernetes.io/no-provisioner",
    )
    for number in range(VOLUMES):
        _make(
            cluster,
            "/api/v1/persistentvolumes",
            "v1",
            "PersistentVolume",
            f"volume-{number}",
            spec={
                "capacity": {"storage": "100Ti"},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "storageClassName": STORAGE_CLASS,
                "hostPath": {"path": "/nowhere"},
            },
        )


def _make(
    cluster: Cluster, path: str, version: str, kind: str, name: str, meta: Any = None, **more: Any
) -> None:
    metadata = {"name": name, **(meta or {})}
    cluster.send("POST", path, {"apiVersion": version, "kind": kind, "metadata": metadata, **more})


def _is_ok(url: str) -> bool:
    # Unverified: the certificate is made by the server that is asked whether it is up.
    return httpx.get(url, verify=False, timeout=5).is_success


def _is_complete(cluster: Cluster) -> bool:
    """Nodes are ready (kwok), and the controllers have begun. The scheduler has no sign."""
    nodes = cluster.send("GET", "/api/v1/nodes")["items"]
    conditions = [c for node in nodes for c in node.get("status", {}).get("conditions", ())]
    ready = [c for c in conditions if c["type"] == "Ready" and c["status"] == "True"]
    account = cluster.send("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    return len(ready) == len(ZONES) and account is not None


def _alive(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
