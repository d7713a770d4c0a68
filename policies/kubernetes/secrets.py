"""K26 and K27: where credentials are, and where they are not."""

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    each,
    names,
    offence,
    violation,
)
from policies.reading import (
    CONFIG_MAP,
    PODS,
    Container,
    arguments,
    containers,
    holds_credential,
    names_credential,
    pod,
)


def _secret_variables(container: Container, context: Context) -> Found:
    for entry in container.node["env"]:
        if entry["name"].text in context.settings["variables"]:
            continue
        if not entry["valueFrom.secretKeyRef"].missing:
            yield violation(entry["name"])
    for source in container.node["envFrom"]:
        if not (found := source["secretRef"]).missing:
            yield violation(found["name"])


def _clear_credentials(resource: Resource, _context: Context) -> Found:
    """The offending text is left out on purpose: it holds a credential."""
    for key in ("data", "metadata.annotations"):
        for name, value in resource.props[key].items():
            if value.known and (
                holds_credential(value.text) or (names_credential(name) and not value.missing)
            ):
                yield offence(value.path, "holds a credential")
    if resource.type != CONFIG_MAP:
        meta = pod(resource).meta["annotations"]
        words = [*arguments(resource), *(value for _, value in meta.items())]
        for word in words:
            if word.known and holds_credential(word.text):
                yield offence(word.path, "holds a credential")


RULES = (
    Rule(
        id="K26",
        title="Secrets are mounted as files, not set as variables.",
        why="Variables are inherited by child processes and shown in crash reports.",
        fix="mount the Secret as a volume",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _secret_variables),
        settings={"variables": names((), "Variables of products that read no file.")},
    ),
    Rule(
        id="K27",
        title="No credential in ConfigMaps, arguments or annotations.",
        why="All of them can be read by whoever may list the objects.",
        fix="put it into a Secret",
        severity=Severity.HIGH,
        types=(*PODS, CONFIG_MAP),
        check=_clear_credentials,
    ),
)
