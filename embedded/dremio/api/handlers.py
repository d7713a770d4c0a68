"""All routes, in the order in which they are tried."""

from embedded.dremio.api import catalog, jobs, login, reflections, scripts, users
from embedded.dremio.api.call import Call, Reply, Rule, rule


def _up(_: Call) -> Reply:
    return Reply("OK")


RULES: tuple[Rule, ...] = (
    rule("GET", "/", _up, open_=True),
    rule("GET", "/apiv2/server_status", _up, open_=True),
    *login.RULES,
    *users.RULES,
    *jobs.RULES,
    *reflections.RULES,
    *scripts.RULES,
    *catalog.RULES,
)


def route(method: str, parts: tuple[str, ...]) -> Rule | None:
    return next((item for item in RULES if item.matches(method, parts)), None)
