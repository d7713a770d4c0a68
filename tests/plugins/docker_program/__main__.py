"""A service with files, in a network and on a volume, with the official SDK as it is."""

import pulumi
import pulumi_docker as docker

config = pulumi.Config()
password = config.require_secret("password")

image = docker.RemoteImage("web", name=config.require("image"))
network = docker.Network("web", internal=True)  # with automatic names
data = docker.Volume("web")
# Never started: its files go into the volume, which the service can then mount read-only.
files = docker.Container(
    "files",
    image=image.image_id,
    start=False,
    must_run=False,
    uploads=[{"file": "/config/password", "content": password, "permissions": "0444"}],
    volumes=[{"volume_name": data.name, "container_path": "/config"}],
    network_mode="none",
)
web = docker.Container(
    "web",
    name="web",
    image=image.image_id,
    command=["httpd", "-f", "-p", "8080", "-h", "/config"],
    envs=[pulumi.Output.concat("PASSWORD=", password)],
    memory=config.get_int("memory") or 64,
    restart="on-failure",
    max_retry_count=3,
    read_only=True,
    capabilities={"drops": ["ALL"]},
    security_opts=["no-new-privileges"],
    user="1000:1000",
    networks_advanced=[{"name": network.name, "aliases": ["web"]}],
    volumes=[{"volume_name": data.name, "container_path": "/config", "read_only": True}],
    healthcheck={
        "tests": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/password"],
        "interval": "200ms",
    },
    wait=True,
    wait_timeout=60,
    opts=pulumi.ResourceOptions(depends_on=[files]),
)
pulumi.export("container", web.id)
