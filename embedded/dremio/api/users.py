"""Users: /api/v3/user. Community has no list and no delete."""

from embedded.dremio.api.call import Call, Reply, rule


def _get(call: Call) -> Reply:
    return Reply(call.engine.users.get(call.path[0]).body())


def _by_name(call: Call) -> Reply:
    return Reply(call.engine.users.by_name(call.path[0]).body())


def _create(call: Call) -> Reply:
    body = call.body
    user = call.engine.add_user(
        str(body.get("name", "")),
        str(body.get("password", "")),
        str(body.get("firstName", "")),
        str(body.get("lastName", "")),
        str(body.get("email", "")),
    )
    return Reply(user.body())


def _change(call: Call) -> Reply:
    body = call.body
    user = call.engine.users.change(
        call.path[0],
        name=str(body.get("name", "")),
        tag=str(body.get("tag", "")),
        first=str(body.get("firstName", "")),
        last=str(body.get("lastName", "")),
        email=str(body.get("email", "")),
        password=str(body.get("password") or ""),
    )
    return Reply(user.body())


RULES = (
    rule("GET", "/api/v3/user/by-name/*", _by_name),
    rule("GET", "/api/v3/user/*", _get),
    rule("POST", "/api/v3/user", _create),
    rule("PUT", "/api/v3/user/*", _change),
)
