"""What a label selector takes in, and the namespace of an object."""

from policies.model import Resource
from policies.values import Node


def selected(selector: Node, labels: Node) -> bool:
    """Whether a label selector takes in an object with these labels; an empty one takes all."""
    wanted = {key: value.text for key, value in selector["matchLabels"].items()}
    if any(labels.member(key).text != value for key, value in wanted.items()):
        return False
    for expression in selector["matchExpressions"]:
        value, values = labels.member(expression["key"].text), expression["values"].texts()
        holds = {
            "In": value.text in values,
            "NotIn": value.text not in values,
            "Exists": value.value is not None,
            "DoesNotExist": value.value is None,
        }
        if not holds.get(expression["operator"].text, False):
            return False
    return True


def namespace_of(resource: Resource) -> str:
    return resource.props["metadata.namespace"].text or "default"
