"""The policy pack as the engine starts it: `pulumi preview --policy-pack policies`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

# In the place of this folder, whose modules would hide others of the same names.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from pulumi.runtime.config import get_config_env  # noqa: E402

from policies.adapter import serve  # noqa: E402

serve(get_config_env(), datetime.now(UTC).date())
