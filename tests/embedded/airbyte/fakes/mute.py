"""A destination that takes everything and confirms nothing."""

import json
import sys

if sys.argv[1] == "spec":
    spec = {
        "connectionSpecification": {"type": "object", "properties": {}},
        "supported_destination_sync_modes": ["overwrite", "append", "append_dedup"],
    }
    print(json.dumps({"type": "SPEC", "spec": spec}))
elif sys.argv[1] == "check":
    print(
        json.dumps(
            {
                "type": "CONNECTION_STATUS",
                "connectionStatus": {"status": "FAILED", "message": "mute"},
            }
        )
    )
else:
    sys.stdin.buffer.read()
