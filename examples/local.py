"""The local runtime's resources, one of each: a web server that a supervisor keeps alive."""

import sys

import pulumi

from dynamic_providers.credentials import derive
from dynamic_providers.local.resources import (
    Certificate,
    CertificateAuthority,
    IssuedCertificate,
    Job,
    Process,
    Supervisor,
)
from tls.authority import SECRET_NAME, authority, fingerprint, load

STACK = "/srv/dataflow/stacks/example"

supervisor = Supervisor("supervisor", stack_dir=STACK)

web = Process(
    "web",
    stack_dir=STACK,
    name="web",
    command=[sys.executable, "-m", "http.server", "8123", "--bind", "127.0.0.1"],
    files={"motd.txt": "hello"},
    ports=[8123],
    readiness={"kind": "http", "url": "http://127.0.0.1:8123/"},
    opts=pulumi.ResourceOptions(depends_on=[supervisor]),
)

greeting = Job(
    "greeting",
    stack_dir=STACK,
    name="greeting",
    command=[sys.executable, "-c", "print('hello')"],
    triggers={"greeting": "1"},
    opts=pulumi.ResourceOptions(depends_on=[web]),
)

seed = pulumi.Config("dataflow").require_secret("seed")
trusted = pulumi.Output.unsecret(
    seed.apply(lambda seed: authority(derive(seed, SECRET_NAME)).certificate)
)

ca = CertificateAuthority("ca", stack_dir=STACK, certificate=trusted)

web_certificate = Certificate(
    "web-certificate",
    stack_dir=STACK,
    name="web",
    authority=trusted.apply(lambda pem: fingerprint(load(pem))),
    hosts=["localhost", "127.0.0.1"],
    opts=pulumi.ResourceOptions(depends_on=[supervisor, ca]),
)

elsewhere_certificate = IssuedCertificate(
    "elsewhere-certificate",
    name="elsewhere",
    authority=trusted.apply(lambda pem: fingerprint(load(pem))),
    hosts=["localhost", "127.0.0.1"],
)
