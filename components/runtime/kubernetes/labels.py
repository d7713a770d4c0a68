"""Labels: of all objects of a stack, of the pods that belong to a service, and of namespaces."""

from components.runtime.catalog import place


def labels(stack: str, name: str) -> dict[str, str]:
    return {
        **selector(stack, name),
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": "dataflow",
        "app.kubernetes.io/component": place(name).layer,
    }


def selector(stack: str, name: str) -> dict[str, str]:
    """Labels of a service's pods. Not the usual names: operators set those of their own pods."""
    return {"dataflow/service": name, "dataflow/stack": stack}


def namespace_labels(stack: str) -> dict[str, str]:
    """The API server refuses every pod that is not `restricted`."""
    levels = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
    }
    return {**levels, "dataflow/stack": stack}
