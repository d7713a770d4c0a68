"""All rules, in the order of their pages."""

from policies import (
    airbyte,
    cross_cutting,
    data_flow,
    docker,
    dremio,
    kubernetes,
    object_store,
    postgresql,
    search,
    superset,
)
from policies.model import Rule

PRODUCTS = {  # title -> module
    "Kubernetes": kubernetes,
    "Docker": docker,
    "Object store": object_store,
    "PostgreSQL": postgresql,
    "Elasticsearch": search,
    "Airbyte": airbyte,
    "Dremio": dremio,
    "Superset": superset,
    "The stack as a whole": cross_cutting,
    "The flow": data_flow,
}
RULES: tuple[Rule, ...] = tuple(rule for module in PRODUCTS.values() for rule in module.RULES)
