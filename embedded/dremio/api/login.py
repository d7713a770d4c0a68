"""First user, login and logout: /apiv2."""

from embedded.dremio.api.call import Call, Reply, rule
from embedded.dremio.errors import invalid
from embedded.dremio.sql.system import VERSION

PERMISSIONS = {
    "canUploadProfiles": True,
    "canDownloadProfiles": True,
    "canEmailForSupport": True,
    "canChatForSupport": False,
    "canViewAllJobs": True,
    "canCreateUser": True,
    "canCreateRole": False,
    "canCreateSource": True,
    "canManageNodeActivity": True,
    "canManageEngines": False,
    "canManageQueues": False,
}


def _first_user(call: Call) -> Reply:
    if not call.engine.users.empty():
        raise invalid("First user can only be created when no user is already registered")
    body = call.body
    user = call.engine.add_user(
        str(body.get("userName", "")),
        str(body.get("password", "")),
        str(body.get("firstName", "")),
        str(body.get("lastName", "")),
        str(body.get("email", "")),
    )
    return Reply(
        {
            "userName": user.name,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "email": user.email,
            "createdAt": user.created_at,
        }
    )


def _log_in(call: Call) -> Reply:
    engine = call.engine
    name, password = str(call.body.get("userName", "")), str(call.body.get("password", ""))
    found = engine.users.log_in(name, password)
    engine.metrics.logins.labels("accepted" if found else "refused").inc()
    if found is None:
        return Reply({"errorMessage": "Login failed: Invalid username or password"}, 401)
    user, token, expires = found
    return Reply(
        {
            "token": token,
            "userName": user.name,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "expires": expires,
            "email": user.email,
            "userId": user.id,
            "admin": True,
            "clusterId": engine.cluster_id,
            "clusterCreatedAt": engine.cluster_created_at,
            "showUserAndUserProperties": True,
            "version": VERSION,
            "permissions": PERMISSIONS,
            "userCreatedAt": user.created_at,
        }
    )


def _logged_in(_: Call) -> Reply:
    return Reply(True)


def _log_out(call: Call) -> Reply:
    call.engine.users.log_out(call.token)
    return Reply(status=204)


RULES = (
    rule("PUT", "/apiv2/bootstrap/firstuser", _first_user, open_=True),
    rule("POST", "/apiv2/login", _log_in, open_=True),
    rule("GET", "/apiv2/login", _logged_in),
    rule("DELETE", "/apiv2/login", _log_out),
)
