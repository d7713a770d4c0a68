"""Specifications of the connectors that the flow uses, so that a preview can check their
configurations while no server runs.

Own JSON schemas of the documented settings (https://docs.airbyte.com/integrations); those that
hold a secret say `airbyte_secret`, as the connectors' own do. Settings that are not described
are accepted unchecked, and so are other connectors: the server checks all of them again.
"""

import functools
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DEFINITIONS = {  # ids of Airbyte's public registry
    "decd338e-5647-4c0b-adf4-da0e75f5a750": "source-postgres",
    "dfd88b22-b603-4c3d-aad7-3701784586b1": "source-faker",
    "4816b78f-1489-44c1-9060-4b19d5fa9362": "destination-s3",
    "25c5221d-dce2-4163-ade9-739ef790f503": "destination-postgres",
    "68f351a7-2745-4bef-ad7f-996b8e51bb8c": "destination-elasticsearch",
}


def find(kind: str, type_: object, definition_id: object) -> dict[str, Any] | None:
    """The specification of a connector, by definition id or type; None if there is none here.

    kind: source or destination. type_: as `sourceType` or `destinationType` names it.
    """
    if definition_id is not None:
        name = DEFINITIONS.get(definition_id) if isinstance(definition_id, str) else None
    else:
        name = f"{kind}-{type_}" if isinstance(type_, str) else None
    return _load(name) if name in DEFINITIONS.values() else None


@functools.cache
def _load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found
