"""K12 and K13: what pods are made of."""

from policies.model import Context, Found, Rule, Severity, each, matches, names, violation
from policies.reading import PODS, images
from policies.values import Node

REGISTRIES = ("docker.elastic.co", "docker.io", "ghcr.io", "quay.io", "registry.k8s.io")
FORBIDDEN = (
    "docker.io/bitnami/*",
    "docker.io/bitnamilegacy/*",
    "docker.io/minio/*",
    "*/ingress-nginx/*",
)


def reference(image: str) -> str:
    """An image with its registry: `nginx` is docker.io/library/nginx."""
    first, slash, _rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        full = image
    else:
        full = "docker.io/" + (image if slash else f"library/{image}")
    return full.replace("index.docker.io/", "docker.io/", 1)


def pinned(image: Node, context: Context) -> Found:
    """By digest, from a registry that is allowed."""
    if not image.text.startswith("sha256:"):
        if "@sha256:" not in image.text:
            yield violation(image, "no digest")
        registry = reference(image.text).partition("/")[0]
        if registry not in context.settings["registries"]:
            yield violation(image, f"registry {registry}")


def _forbidden(image: Node, context: Context) -> Found:
    if matches(reference(image.text), context.settings["images"]):
        yield violation(image)


RULES = (
    Rule(
        id="K12",
        title="Images are pinned by digest and come from an allowed registry.",
        why="A tag can be moved to another image after the review.",
        fix="write registry/name:tag@sha256:digest, from an allowed registry",
        severity=Severity.HIGH,
        types=PODS,
        check=each(images, pinned),
        settings={"registries": names(REGISTRIES, "Registries that images may come from.")},
    ),
    Rule(
        id="K13",
        title="No image that nobody maintains.",
        why="Images without a maintainer get no security fixes.",
        fix="use a maintained image",
        severity=Severity.HIGH,
        types=(*PODS, "docker:index/container:Container", "docker:index/remoteImage:RemoteImage"),
        check=each(images, _forbidden),
        settings={"images": names(FORBIDDEN, "Full names; `*` stands for anything.")},
    ),
)
