"""A source that never ends. It starts a child of its own, which must not outlive it."""

import json
import subprocess
import sys
import time


def say(**message):
    print(json.dumps(message), flush=True)


STREAM = {
    "name": "ticks",
    "json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "supported_sync_modes": ["full_refresh"],
}
verb = sys.argv[1]
if verb == "spec":
    secret = {"type": "string", "airbyte_secret": True}
    properties = {"pid_file": {"type": "string"}, "token": secret}
    say(
        type="SPEC", spec={"connectionSpecification": {"type": "object", "properties": properties}}
    )
elif verb == "check":
    say(type="CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"})
elif verb == "discover":
    say(type="CATALOG", catalog={"streams": [STREAM]})
else:
    with open(sys.argv[sys.argv.index("--config") + 1]) as file:
        config = json.load(file)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    with open(config["pid_file"], "w") as file:
        file.write(str(child.pid))
    n = 0
    while True:
        record = {"stream": "ticks", "data": {"n": n}, "emitted_at": 0}
        say(type="RECORD", record=record)
        say(type="LOG", log={"level": "WARN", "message": f"using {config.get('token')}"})
        n += 1
        time.sleep(0.01)
