"""K16 to K20: tokens of the Kubernetes API, service accounts, and what they may do."""

from collections.abc import Iterator

from policies.model import Context, Found, Resource, Rule, Severity, each, names, violation
from policies.reading import PODS, Pod, pod, pods
from policies.values import Node

ROLES = (
    "kubernetes:rbac.authorization.k8s.io/*:Role",
    "kubernetes:rbac.authorization.k8s.io/*:ClusterRole",
)
BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/*:RoleBinding",
    "kubernetes:rbac.authorization.k8s.io/*:ClusterRoleBinding",
)


def _no_token(resource: Resource, context: Context) -> Found:
    if resource.props["metadata.name"].text in context.settings["allowed"]:
        return
    where = resource.props if resource.kind == "ServiceAccount" else pod(resource).spec
    if not (node := where["automountServiceAccountToken"]).off:
        yield violation(node)


def _own_account(pod: Pod, _context: Context) -> Found:
    if (account := pod.spec["serviceAccountName"]).text in ("", "default"):
        yield violation(account)


def _rules(resource: Resource) -> Iterator[Node]:
    yield from resource.props["rules"]


def _wildcards(rule: Node, _context: Context) -> Found:
    for key in ("verbs", "resources", "apiGroups"):
        if "*" in rule[key].texts():
            yield violation(rule[key])


def _strong_rights(rule: Node, _context: Context) -> Found:
    resources, verbs = rule["resources"].texts(), rule["verbs"].texts()
    if {"pods/exec", "pods/attach"} & set(resources):
        yield violation(rule["resources"])
    if {"bind", "escalate", "impersonate"} & set(verbs):
        yield violation(rule["verbs"])
    if "secrets" in resources and rule["resourceNames"].missing:
        yield violation(rule["resourceNames"], "of secrets")


def _admin_binding(resource: Resource, _context: Context) -> Found:
    if (name := resource.props["roleRef.name"]).text == "cluster-admin":
        yield violation(name)


RULES = (
    Rule(
        id="K16",
        title="Pods get no token of the Kubernetes API.",
        why="An intruder would use it to go on from there.",
        fix="set automountServiceAccountToken to false",
        severity=Severity.MEDIUM,
        types=(*PODS, "kubernetes:core/v1:ServiceAccount"),
        check=_no_token,
        settings={"allowed": names((), "Names of objects that call the Kubernetes API.")},
    ),
    Rule(
        id="K17",
        title="Each workload has a service account of its own.",
        why="Rights that one needs would go to all that share the default account.",
        fix="set serviceAccountName",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(pods, _own_account),
    ),
    Rule(
        id="K18",
        title="Roles have no wildcards.",
        why="A wildcard grants what is installed later too.",
        fix="list verbs, resources and API groups",
        severity=Severity.HIGH,
        types=ROLES,
        check=each(_rules, _wildcards),
    ),
    Rule(
        id="K19",
        title="Roles cannot enter pods, raise themselves, or read all secrets.",
        why="Each of these rights leads to every other right.",
        fix="remove it; name the secrets in resourceNames",
        severity=Severity.HIGH,
        types=ROLES,
        check=each(_rules, _strong_rights),
    ),
    Rule(
        id="K20",
        title="Nobody is bound to cluster-admin.",
        why="It is root of the cluster.",
        fix="bind a role with the rights that are needed",
        severity=Severity.HIGH,
        types=BINDINGS,
        check=_admin_binding,
    ),
)
