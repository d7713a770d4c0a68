"""The certificate of a stack's authority, as `<stackDir>/tls/ca.crt`: what its clients trust.
While another authority takes its place, the file holds both.

The authority's key is derived from the stack's seed when something is signed. It is in no state.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.inputs import is_unknown
from dynamic_providers.local import directory, inputs
from dynamic_providers.local.account import account
from tls.authority import Authority

KIND = "local/CertificateAuthority"
REPLACE_ON = frozenset({"stackDir"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()


def normalize(raw: Mapping[str, Any]) -> Props:
    """stackDir: absolute path. certificate: `tls.authority.Authority.trusted`."""
    return {"stackDir": inputs.stack_dir(raw), "certificate": inputs.text(raw, "certificate")}


def natural_key(spec: Props) -> str:
    return str(ca_file(spec["stackDir"]))


def ca_file(stack_dir: str) -> Path:
    return Path(stack_dir) / "tls" / "ca.crt"


def create(client: Authority, spec: Props) -> Live:
    if not is_unknown(spec["certificate"]) and spec["certificate"] != client.trusted:
        raise InputError("certificate", "is not that of the authority of this stack's seed")
    target = ca_file(spec["stackDir"])
    for folder in (target.parent.parent, target.parent):
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # services below it run as another user
    directory.write_atomically(target, spec["certificate"], account(""), 0o644, owned=True)
    return Live(id=natural_key(spec), inputs=spec)


def read(_client: Authority, id_: str, _known: Props) -> Live | None:
    target = Path(id_)
    try:
        certificate = target.read_text()
    except FileNotFoundError:
        return None
    stack_dir = str(target.parent.parent)
    return Live(id=id_, inputs={"stackDir": stack_dir, "certificate": certificate})


def update(client: Authority, _id: str, _old: Props, spec: Props) -> Live:
    return create(client, spec)


def delete(_client: Authority, id_: str, _known: Props) -> None:
    target = Path(id_)
    target.unlink(missing_ok=True)
    directory.remove_empty(target.parent, target.parent.parent)
