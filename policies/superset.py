"""Rules on Superset: its settings file and its database connections.

Settings are read from the text of superset_config.py: what is no plain value there, such as one
that is read from a file, is not judged.
"""

import ast
from collections.abc import Iterator

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    each,
    number,
    offence,
    violation,
)
from policies.reading import CONFIGURED, PODS, STARTED, File, files_named, known_text, variables
from policies.values import UNKNOWN, Node

CONFIG = "superset_config.py"
DATABASE = "pulumi-python:dynamic/dataflow/superset:Database"
PLACEHOLDERS = ("CHANGE_ME", "thisISaSECRET", "TEST_NON_DEV_SECRET")
KEY_CHARACTERS = 42  # what `openssl rand -base64 42` gives at least
MAY_CHANGE = ("allowDml", "allowCtas", "allowCvas", "allowFileUpload")


def _settings(file: File) -> dict[str, Node]:
    """Upper-case names that the module sets -> value; unknown unless it is a plain one."""
    found: dict[str, Node] = {}
    try:
        tree = ast.parse(known_text(file.text))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and node.value is not None:
                value = _plain(node.value)
                found[target.id] = file.text.derived(value, f"{CONFIG} {target.id}")
    return found


def _plain(node: ast.expr) -> object:
    if isinstance(node, ast.Dict):
        return {
            str(_plain(key)): _plain(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _get(settings: dict[str, Node], name: str) -> Node:
    return settings.get(name, Node(None, f"{CONFIG} {name}"))


def _modules(resource: Resource) -> Iterator[dict[str, Node]]:
    for file in files_named(CONFIG)(resource):
        if file.text.known:
            yield _settings(file)


def _key(resource: Resource, context: Context) -> Found:
    for settings in _modules(resource):
        key = _get(settings, "SECRET_KEY")
        if key.known:
            yield offence(key.path, "a text in the module, or missing")
    if resource.type in STARTED:
        for name, value in variables(resource):
            if name == "SUPERSET_SECRET_KEY" and value.value is not None:
                yield from _strong(value)
    for file in files_named("secret-key", "superset-secret-key")(resource):
        yield from _strong(file.text)


def _strong(key: Node) -> Found:
    characters = len(key.text)  # first: one that is not known yet may become a secret
    if not key.secret:
        yield offence(key.path, "not a secret")
    elif characters < KEY_CHARACTERS:
        yield offence(key.path, f"shorter than {KEY_CHARACTERS} characters")
    elif key.text.startswith(PLACEHOLDERS):
        yield offence(key.path, "the placeholder of the documentation")


def _cookies(settings: dict[str, Node], _context: Context) -> Found:
    for name in ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "TALISMAN_ENABLED"):
        if _get(settings, name).known and not (node := _get(settings, name)).on:
            yield violation(node)
    site = _get(settings, "SESSION_COOKIE_SAMESITE")
    if site.known and site.text not in ("Lax", "Strict"):
        yield violation(site)
    talisman = _get(settings, "TALISMAN_CONFIG")
    if talisman["force_https"].known and not talisman["force_https"].on:
        yield violation(talisman["force_https"])
    if talisman["content_security_policy"].known and talisman["content_security_policy"].missing:
        yield violation(talisman["content_security_policy"])


def _closed(settings: dict[str, Node], _context: Context) -> Found:
    public = _get(settings, "PUBLIC_ROLE_LIKE")
    if public.known and public.value is not None:
        yield violation(public)
    for name, wanted in (
        ("ENABLE_CORS", False),
        ("WTF_CSRF_ENABLED", True),
        ("RATELIMIT_ENABLED", True),
        ("AUTH_USER_REGISTRATION", False),
    ):
        node = _get(settings, name)
        if node.known and (not node.on if wanted else node.on):
            yield violation(node)


def _no_default_login(resource: Resource, context: Context) -> Found:
    yield from each(_modules, _closed)(resource, context)
    if resource.type in STARTED:
        for name, value in variables(resource):
            if name.endswith("ADMIN_PASSWORD") and value.known and value.text == "admin":
                yield offence(value.path, "the default")


def _read_only(resource: Resource, context: Context) -> Found:
    if resource.type == DATABASE:
        for key in MAY_CHANGE:
            if resource.props[key].on:
                yield violation(resource.props[key])
        return
    yield from each(_modules, _bounded)(resource, context)


def _bounded(settings: dict[str, Node], context: Context) -> Found:
    safe = _get(settings, "PREVENT_UNSAFE_DB_CONNECTIONS")
    if safe.known and not safe.on:
        yield violation(safe)
    for name in ("ROW_LIMIT", "SQL_MAX_ROW"):
        rows = _get(settings, name)  # Superset's defaults are below the limit
        if rows.known and (rows.number or 0) > context.settings["rows"]:
            yield violation(rows)
    timeout = _get(settings, "SQLLAB_TIMEOUT")
    if timeout.known and (timeout.number or 0) > context.settings["seconds"]:
        yield violation(timeout)


RULES = (
    Rule(
        id="U01",
        title="The secret key is random, long, and a secret.",
        why="Who knows it signs sessions of any user, and decrypts the databases' passwords.",
        fix=f"read {KEY_CHARACTERS} or more random characters from a secret file",
        severity=Severity.HIGH,
        types=(*CONFIGURED, *PODS),
        check=_key,
    ),
    Rule(
        id="U02",
        title="Cookies and pages are for https only, under a content security policy.",
        why="A session's cookie in clear text is the session.",
        fix="set SESSION_COOKIE_SECURE, HTTPONLY, SAMESITE; force_https and a policy of Talisman",
        severity=Severity.HIGH,
        types=CONFIGURED,
        check=each(_modules, _cookies),
    ),
    Rule(
        id="U03",
        title="Superset is closed to strangers.",
        why="Anonymous users would see dashboards, other sites would act for logged-in users.",
        fix="PUBLIC_ROLE_LIKE None, ENABLE_CORS and AUTH_USER_REGISTRATION False, "
        "WTF_CSRF_ENABLED and RATELIMIT_ENABLED True, and no default password",
        severity=Severity.HIGH,
        types=(*CONFIGURED, *PODS),
        check=_no_default_login,
    ),
    Rule(
        id="U04",
        title="Dashboards only read, and only so much.",
        why="A chart must not change a table, nor take the whole engine.",
        fix="leave DML, CTAS, CVAS, uploads off; PREVENT_UNSAFE_DB_CONNECTIONS True; set limits",
        severity=Severity.MEDIUM,
        types=(DATABASE, *CONFIGURED),
        check=_read_only,
        settings={
            "rows": number(1_000_000, "Most rows of a query."),
            "seconds": number(300, "Longest time of a query of SQL Lab."),
        },
    ),
)
