"""Replaces every credential of a stack, and the authority of its certificates, while it runs.

All of them follow from the seed, so a new seed is a new everything. In three deployments, so that
no service meets a certificate that it does not trust: the next authority is trusted too; the seed
changes, and with it passwords, keys and certificates; the former authority is trusted no more.

PostgreSQL, Elasticsearch and Dremio keep the password of their first account in their own data,
and take no other from a file: they are told, logged in with the former one.
"""

from collections.abc import Callable

import psycopg
from psycopg import sql

from dynamic_providers.api import ApiError
from dynamic_providers.credentials import FORMER_SEED_KEY, NEXT_SEED_KEY, SEED_KEY, derive
from dynamic_providers.dremio.client import ADMIN, SECRET_NAME, DremioClient
from operations import clients
from operations.archive import BackupError
from operations.backup import quiet
from operations.restore import Say, deploy
from services.elasticsearch.config import SUPERUSER as ELASTICSEARCH_SUPERUSER
from services.postgresql.config import SUPERUSER as POSTGRES_SUPERUSER
from tools.stack import Stack, new_seed

REFUSED = 401  # the status of a wrong password


class RotationError(BackupError):
    """Credentials that cannot be replaced; the text says what to do."""


def rotate(stack: Stack, say: Say) -> None:
    """Raises StackError. May be run again after an interruption: the seeds in the settings tell
    how far it was."""
    stack.require()
    if (runtime := stack.settings().runtime) != "process":
        raise RotationError(
            f"stack {stack.name!r} has runtime {runtime!r}: expected process; for "
            "the others see docs/operations.md"
        )
    if not stack.resources():
        raise RotationError(
            f"stack {stack.name!r} is not deployed: nothing has its credentials yet"
        )
    if FORMER_SEED_KEY not in stack.configuration():
        with quiet(stack, "rotation"):
            pass  # what fails a run when services restart: one that is under way ends first
        if NEXT_SEED_KEY not in stack.configuration():
            stack.set_secret(NEXT_SEED_KEY, new_seed())
        say("1 of 3: the next authority is trusted")
        deploy(stack)
    say("2 of 3: new credentials and certificates")
    former = swapped(stack)
    for change in (_postgres, _search, _dremio):
        change(stack, lambda name: derive(former, name))
    deploy(stack)
    say("3 of 3: the former authority is trusted no more")
    stack.unset(FORMER_SEED_KEY)
    deploy(stack)


def swapped(stack: Stack) -> str:
    """Makes the next seed the stack's, also when an earlier call was interrupted. Returns the
    former one."""
    if NEXT_SEED_KEY in stack.configuration():
        seed, following = stack.secret(SEED_KEY), stack.secret(NEXT_SEED_KEY)
        if seed != following:  # not interrupted after that
            stack.set_secret(FORMER_SEED_KEY, seed)
            stack.set_secret(SEED_KEY, following)
        stack.unset(NEXT_SEED_KEY)
    return stack.secret(FORMER_SEED_KEY)


Former = Callable[[str], str]  # name of a credential -> its former value


def _postgres(stack: Stack, former: Former) -> None:
    login = clients.postgres(stack)
    try:
        psycopg.connect(**login, dbname="postgres").close()
    except psycopg.OperationalError:
        old = {**login, "password": former("postgres-superuser")}
        with psycopg.connect(**old, dbname="postgres") as db:
            # Hashed here, so that no log of the server can show it.
            hashed = db.pgconn.encrypt_password(
                login["password"].encode(), POSTGRES_SUPERUSER.encode(), b"scram-sha-256"
            )
            db.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(POSTGRES_SUPERUSER), sql.Literal(hashed.decode())
                )
            )


def _search(stack: Stack, former: Former) -> None:
    password = stack.password("elasticsearch-superuser")
    with clients.search(stack) as api:
        if api.get("/").status_code != REFUSED:
            return
        user = ELASTICSEARCH_SUPERUSER
        path, old = f"/_security/user/{user}/_password", former("elasticsearch-superuser")
        answer = api.post(path, json={"password": password}, auth=(user, old))
    if not answer.is_success:
        raise RotationError(f"elasticsearch: POST {path}: {answer.status_code}")


def _dremio(stack: Stack, former: Former) -> None:
    password = stack.password(SECRET_NAME)
    for known in (password, former(SECRET_NAME)):
        client = DremioClient(stack.url("dremio"), known, verify=stack.trust)
        try:
            live = client.require("GET", f"/user/by-name/{ADMIN}")
            if known != password:
                client.require("PUT", f"/user/{live['id']}", {**live, "password": password})
            return
        except ApiError as error:
            if error.status != REFUSED or known != password:
                raise RotationError(str(error)) from None
        finally:
            client.close()
