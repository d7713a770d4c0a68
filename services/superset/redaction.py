"""Takes credentials out of what Superset's audit log would store in clear text."""

import json
import re
from typing import Any

REDACTED = "[redacted]"
# A name that holds one of these holds a secret, or something that is safer unseen.
SECRET_NAME = re.compile(
    r"passw|secret|token|credential|encrypted|private_?key|api_?key|access_?key|account_?info",
    re.IGNORECASE,
)
# user:password@ of a URL. Up to the last @: a password may hold an @ that nobody quoted.
URL_PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@")


def redact(value: Any) -> Any:
    """The same structure without secrets: by the name of a key, and passwords within URLs.

    Texts that are JSON themselves (`extra`, `params`, form fields) are looked into.
    """
    if isinstance(value, dict):
        return {
            key: REDACTED if item and SECRET_NAME.search(str(key)) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, bytes):
        return redact(value.decode(errors="replace"))
    if isinstance(value, str):
        return _redact_text(value)
    return value


def _redact_text(text: str) -> str:
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.dumps(redact(json.loads(text)))
        except ValueError:
            pass
    return URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
