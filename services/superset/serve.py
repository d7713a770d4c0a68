"""Prepares Superset's metadata database and becomes its web server. Runs in Superset's
environment, with the variables of `config.environment`.

The preparation (migrations, permissions, administrator) takes 15 to 30 s, so it is left out when
an earlier one was for the same code and configuration, and the database still agrees.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import psycopg2

# After everything else, so that no folder of the project hides a package of Superset's.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from services.superset import settings as stack  # noqa: E402

HERE = Path(__file__).resolve().parent
THREADS = 8  # requests at a time; a chart's query holds one while the engine works
REQUEST_TIMEOUT_S = 120
ADMIN_ROLE = "Admin"


def main() -> None:
    os.umask(0o077)  # the cache holds query results
    settings = stack.load()
    stamp = Path(os.environ["SUPERSET_HOME"]) / "prepared.json"
    if _prepared(settings, stamp):
        print("superset: the metadata database is up to date", flush=True)
    else:
        _prepare(settings)
        migration, _ = _live(settings)
        stamp.write_text(json.dumps({"key": _key(), "migration": migration}))
    os.execv(sys.executable, _server(settings))  # noqa: S606 - a list of arguments, no shell


def _server(settings: stack.Settings) -> list[str]:
    tls = settings.tls
    return [
        *(sys.executable, "-P", "-m", "gunicorn"),
        *("--bind", f"{settings.host}:{settings.port}"),
        # It puts its working folder before Superset's packages: one without Python files.
        *("--chdir", os.environ["SUPERSET_HOME"]),
        # One process: caches, rate limits and metrics are counted in its memory.
        *("--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS)),
        *("--timeout", str(REQUEST_TIMEOUT_S)),
        # Both files are read anew for each connection: a renewal needs no restart.
        *(("--certfile", str(tls.certificate), "--keyfile", str(tls.key)) if tls else ()),
        "--no-control-socket",
        *("--access-logfile", "-"),  # log-ins are in no other log
        "superset.app:create_app()",
    ]


def _key() -> str:
    """Changes with whatever decides what the preparation does."""
    total = hashlib.sha256(version("apache-superset").encode())
    for file in sorted(HERE.glob("*.py")):
        total.update(file.read_bytes())
    return total.hexdigest()


def _prepared(settings: stack.Settings, stamp: Path) -> bool:
    """Whether the database is as the last preparation left it and the administrator's password
    is the configured one."""
    try:
        recorded = json.loads(stamp.read_text())
    except FileNotFoundError:
        return False
    migration, password_hash = _live(settings)
    if recorded != {"key": _key(), "migration": migration} or password_hash is None:
        return False
    from werkzeug.security import check_password_hash

    return check_password_hash(password_hash, stack.secret(settings.admin_password_file))


def _live(settings: stack.Settings) -> tuple[str | None, str | None]:
    """Migration of the metadata database and hash of the administrator's password."""
    metadata = settings.metadata
    connection = psycopg2.connect(
        host=metadata.host,
        port=metadata.port,
        dbname=metadata.dbname,
        user=metadata.user,
        password=stack.secret(metadata.password_file),
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('alembic_version'), to_regclass('ab_user')")
            if None in cursor.fetchone():
                return None, None
            cursor.execute("SELECT version_num FROM alembic_version")
            migration = cursor.fetchone()
            cursor.execute(
                "SELECT password FROM ab_user WHERE username = %s AND active",
                [settings.admin_user],
            )
            password_hash = cursor.fetchone()
    finally:
        connection.close()
    return (migration and migration[0]), (password_hash and password_hash[0])


def _prepare(settings: stack.Settings) -> None:
    """What `superset db upgrade`, `superset init` and `fab create-admin` do, in one process:
    each of them alone takes seconds to start."""
    import flask_migrate
    import superset
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        flask_migrate.upgrade(str(Path(superset.__file__).parent / "migrations"))
        if settings.other_secret_key_file:
            _encrypt_anew(stack.secret(settings.other_secret_key_file))
        from superset import appbuilder, security_manager

        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        # As the last one: its password says that all is done.
        _set_admin(security_manager, settings)


def _encrypt_anew(other_key: str) -> None:
    """Passwords of databases and the like, as far as they are encrypted with `other_key`."""
    from flask_appbuilder import Model
    from superset import db
    from superset.utils.encrypt import SecretsMigrator

    migrator = SecretsMigrator(other_key)
    # The tables are the application builder's; where the migrator looks (6.0) there are none, and
    # it would find nothing to do.
    migrator._db = SimpleNamespace(engine=db.engine, metadata=Model.metadata)
    if not migrator.discover_encrypted_fields():
        raise SystemExit("superset: no encrypted column was found: expected those of `dbs`")
    migrator.run()


def _set_admin(security_manager: object, settings: stack.Settings) -> None:
    password = stack.secret(settings.admin_password_file)
    user = security_manager.find_user(username=settings.admin_user)
    if user is None:
        made = security_manager.add_user(
            username=settings.admin_user,
            first_name="Dataflow",
            last_name="Administrator",
            # Nothing is sent there: it must be unique, and a reserved domain (RFC 2606) is safe.
            email=f"{settings.admin_user}@dataflow.invalid",
            role=security_manager.find_role(ADMIN_ROLE),
            password=password,
        )
        if not made:  # the reason is in the log, as Superset's own command leaves it
            raise SystemExit(f"superset: the user {settings.admin_user!r} could not be made")
        return
    user.active = True
    security_manager.update_user(user)
    security_manager.reset_password(user.id, password)


if __name__ == "__main__":
    main()
