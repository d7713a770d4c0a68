"""destination-s3 that is killed in the middle of a sync while the marker file exists.

The marker holds the number of lines to let through; the kill removes it.
"""

import os
import subprocess
import sys
from pathlib import Path

marker = Path(sys.argv[1])
real = [sys.executable, "-m", "embedded.airbyte.connectors.destination_s3", *sys.argv[2:]]
if sys.argv[2] != "write" or not marker.exists():
    os.execv(sys.executable, real)
limit = int(marker.read_text())
child = subprocess.Popen(real, stdin=subprocess.PIPE)
for count, line in enumerate(sys.stdin.buffer, start=1):
    child.stdin.write(line)
    if count == limit:
        break
child.stdin.flush()
marker.unlink()
child.kill()
sys.exit(child.wait() and 1)
