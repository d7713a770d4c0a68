"""destination-s3 that is killed in the middle of a sync while the marker file exists.

The marker holds the number of lines to let through; the kill removes it.
"""

import array
import fcntl
import os
import subprocess
import sys
import termios
import time
from pathlib import Path


def is_idle(child) -> bool:
    """It has read everything, and waits for more."""
    unread = array.array("i", [0])
    fcntl.ioctl(child.stdin, termios.FIONREAD, unread)
    state = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return unread[0] == 0 and state == "S"


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
# What it may confirm too early, it has confirmed by now.
idle = 0
while idle < 5:
    time.sleep(0.02)
    idle = idle + 1 if is_idle(child) else 0
marker.unlink()
child.kill()
sys.exit(child.wait() and 1)
