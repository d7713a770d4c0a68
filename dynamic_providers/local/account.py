"""The user that a service runs as."""

import grp
import os
import pwd
from dataclasses import dataclass
from typing import Any

from dynamic_providers.handler import InputError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Account:
    """user: the service user, or "" for the one that runs Pulumi."""

    user: str
    login: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def popen(self) -> dict[str, Any]:
        """Arguments of subprocess that start a program as this account."""
        if not self.user or self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}

    def environment(self, home: str) -> dict[str, str]:
        """What a program finds in its environment before its own variables. Nothing comes from
        the shell that runs Pulumi: it may hold the passphrase of the stack."""
        return {
            "HOME": home,
            "LANG": "C.UTF-8",
            "LOGNAME": self.login,
            "PATH": PATH,
            "USER": self.login,
        }


def account(user: str) -> Account:
    """Raises InputError for a user that does not exist or cannot be switched to."""
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise InputError(
            "user", f"{user!r}: no such user on this machine: create it with useradd --system"
        ) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise InputError(
            "user", f"{user!r}: only root can run programs as another user: leave it empty"
        )
    groups = {entry.pw_gid, *(g.gr_gid for g in grp.getgrall() if entry.pw_name in g.gr_mem)}
    return Account(
        user=user,
        login=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(sorted(groups)),
    )
