"""Superset's REST API as far as the handlers use it, with the rules and payloads of 6.1.0.

Kept: JWT, CSRF token and session cookie on writes; rison queries with an allow-list of filter
columns and pages of 100; uuids chosen by the caller; unknown fields dropped (database), 400
(dataset is 422) or 422; masked passwords; a COUNT(*) and a time column on new datasets; metrics
and columns as lists that replace, refused without their numbers; charts attached only by
json_metadata.positions; roles and tables of a rule emptied by a PUT without them and by deleting
what they name; 500 for a role of the same name; reports behind a feature flag; and what looking
at a chart or a dashboard writes.
"""

import itertools
import json
import re
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

MASK = "XXXXXXXXXX"
API = "/api/v1"
LIMIT = 100
UUID_PATHS = ("chart", "dashboard", "dataset")
COMMON = {"is_managed_externally", "external_url", "uuid"}
METADATA_DEFAULTS = {
    "timed_refresh_immune_slices": [],
    "expanded_slices": {},
    "refresh_frequency": 0,
    "color_scheme": "",
    "label_colors": {},
    "shared_label_colors": [],
    "map_label_colors": {},
    "color_scheme_domain": [],
    "cross_filters_enabled": True,
}
METADATA = {*METADATA_DEFAULTS, "default_filters", "positions", "native_filter_configuration"}
DATABASE_FLAGS = {
    "expose_in_sqllab": True,
    "allow_dml": False,
    "allow_ctas": False,
    "allow_cvas": False,
    "allow_file_upload": False,
}
POST = {
    "dataset": set(
        "database schema catalog table_name sql owners normalize_columns "
        "always_filter_main_dttm template_params".split()
    )
    | COMMON,
    "chart": set(
        "slice_name viz_type datasource_id datasource_type params query_context description "
        "cache_timeout certified_by certification_details dashboards owners".split()
    )
    | COMMON,
    "dashboard": set(
        "dashboard_title slug owners roles position_json css json_metadata published "
        "certified_by certification_details".split()
    )
    | COMMON,
    "rowlevelsecurity": set("name description filter_type tables roles group_key clause".split()),
    "security/roles": {"name"},
    "security/users": set("active email first_name last_name password roles username".split()),
    "css_template": {"css", "template_name"},
    "report": set(
        "type name description email_subject context_markdown active crontab timezone sql chart "
        "creation_method dashboard database owners validator_type validator_config_json "
        "log_retention grace_period working_timeout recipients report_format force_screenshot "
        "custom_width extra".split()
    ),
}
PUT = {
    **POST,
    "dataset": (POST["dataset"] - {"database"})
    | set(
        "database_id description main_dttm_col cache_timeout columns metrics extra offset "
        "filter_select_enabled fetch_values_predicate".split()
    ),
}
REQUIRED = {
    "dataset": {"database", "table_name"},
    "chart": {"slice_name", "datasource_id", "datasource_type"},
    "rowlevelsecurity": {"name", "filter_type", "tables", "roles", "clause"},
    "security/roles": {"name"},
    "security/users": {"username", "password", "email", "first_name", "last_name"},
    "css_template": {"template_name"},
    "report": {"type", "name", "crontab"},
}
NOT_NULL = {"name", "clause", "filter_type", "grace_period", "recipients", "log_retention"}
FILTERS = {
    "database": {"uuid", "database_name"},
    "dataset": {"uuid", "id", "table_name", "database"},
    "chart": {"uuid", "id", "slice_name"},
    "dashboard": {"uuid", "id", "slug"},
    "rowlevelsecurity": {"name", "tables", "roles"},
    "security/roles": {"id", "name"},
    "security/users": {"username", "email"},
    "security/resources": {"id", "name"},
    "security/permissions-resources": {"permission", "view_menu"},
    "css_template": {"template_name"},
    "report": {"name", "type"},
}
UNKNOWN_FIELD = {"dataset": 422, "security/roles": 422, "css_template": 422}
NO_WRITE = ("security/resources", "security/permissions-resources")


def error(status: int, message) -> JSONResponse:
    return JSONResponse({"message": message}, status)


class Refusal(Exception):
    def __init__(self, status: int, message) -> None:
        super().__init__(message)
        self.answer = error(status, message)


def rison(text: str):
    """The value of a rison text: what the handlers write, and no more."""
    value, rest = _rison(text)
    assert not rest, rest
    return value


def _rison(text: str):
    if text.startswith("!("):
        items, text = [], text[2:]
        while not text.startswith(")"):
            value, text = _rison(text.removeprefix(","))
            items.append(value)
        return items, text[1:]
    if text.startswith("("):
        pairs, text = {}, text[1:]
        while not text.startswith(")"):
            key, _, text = text.removeprefix(",").partition(":")
            pairs[key], text = _rison(text)
        return pairs, text[1:]
    if text.startswith("'"):
        quoted = re.match(r"'((?:![!']|[^!'])*)'", text)
        assert quoted, text
        return re.sub(r"!([!'])", r"\1", quoted[1]), text[quoted.end() :]
    plain = re.match(r"[^,()']+", text)
    assert plain, text
    return int(plain[0]) if plain[0].lstrip("-").isdigit() else plain[0], text[plain.end() :]


class Superset:
    """tables: (schema, table) -> columns as (name, type), of every database."""

    def __init__(self, password: str) -> None:
        self.passwords = {"admin": password}
        self.tables = {
            ("public", "orders"): [
                ("id", "INTEGER"),
                ("amount", "NUMERIC"),
                ("order_date", "TIMESTAMP WITHOUT TIME ZONE"),
            ]
        }
        self.alert_reports = True  # the feature flag
        self.engine_up = True
        self.mixed_up: list[list[dict]] = []  # filters of others that the next listings get
        self.drops_lists = False  # a rule loses its roles and tables on every write
        self.requests = []
        self.rows = {kind: {} for kind in FILTERS}
        self.tokens, self.sessions = set(), {}
        self._ids = {kind: itertools.count(1) for kind in (*FILTERS, "column", "metric")}
        for name in ("Admin", "Alpha", "Gamma", "Public", "sql_lab"):
            self._add("security/roles", {"name": name, "permissions": []})
        self._permit("can_read", "Chart")
        self._permit("can_write", "Chart")
        self._permit("can_read", "Dashboard")
        self.app = Starlette(
            routes=self._routes(),
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._authorize)],
        )

    def _routes(self):
        one = "{kind:path}/{id:int}"
        return [
            Route(f"{API}/security/login", self.login, methods=["POST"]),
            Route(f"{API}/security/csrf_token/", self.csrf),
            Route(f"{API}/security/roles/{{id:int}}/permissions/", self.permissions),
            Route(f"{API}/security/roles/{{id:int}}/permissions", self.grant, methods=["POST"]),
            Route(f"{API}/database/{{id:int}}/connection", self.connection),
            Route(f"{API}/dataset/{{id:int}}/related_objects", self.related),
            Route(f"{API}/{one}", self.object, methods=["GET", "PUT", "DELETE"]),
            *(Route(f"{API}/{kind}/{{uuid:uuid}}", self.by_uuid) for kind in UUID_PATHS),
            Route(f"{API}/{{kind:path}}/", self.collection, methods=["GET", "POST"]),
        ]

    async def _authorize(self, request: Request, call_next) -> Response:
        self.requests.append((request.method, request.url.path))
        if not request.url.path.endswith("/security/login"):
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return JSONResponse({"msg": "Missing Authorization Header"}, 401)
            session = self.sessions.get(request.cookies.get("session"))
            if request.method != "GET" and (
                session is None or session != request.headers.get("x-csrftoken")
            ):
                return error(400, "400 Bad Request: The CSRF token is missing.")
        try:
            answer = await call_next(request)
        except Refusal as refusal:
            answer = refusal.answer
        if answer.status_code == 422 and "json" not in request.headers.get("accept", ""):
            return HTMLResponse("<html>Internal server error</html>", 500)
        return answer

    async def login(self, request: Request) -> Response:
        body = await request.json()
        if self.passwords.get(body["username"]) != body["password"]:
            return error(401, "Not authorized")
        token = str(uuid4())
        self.tokens.add(token)
        return JSONResponse({"access_token": token, "refresh_token": str(uuid4())})

    async def csrf(self, request: Request) -> Response:
        session, token = str(uuid4()), str(uuid4())
        self.sessions[session] = token
        answer = JSONResponse({"result": token})
        answer.set_cookie("session", session)
        return answer

    # storage

    def _add(self, kind: str, row: dict) -> dict:
        row["id"] = next(self._ids[kind])
        self.rows[kind][row["id"]] = row
        return row

    def find(self, kind: str, **columns) -> dict:
        """The one object with these values, to look at or to change behind the API's back."""
        (row,) = [
            row
            for row in self.rows[kind].values()
            if all(row[key] == value for key, value in columns.items())
        ]
        return row

    def _permit(self, permission: str, resource: str) -> None:
        menus = self.rows["security/resources"]
        menu = next((m for m in menus.values() if m["name"] == resource), None)
        menu = menu or self._add("security/resources", {"name": resource})
        row = {"permission": {"name": permission}, "view_menu": menu}
        self._add("security/permissions-resources", row)

    # lists

    async def collection(self, request: Request) -> Response:
        kind = self._kind(request)
        if request.method == "POST":
            if kind in NO_WRITE:
                return Response(status_code=405)
            return self._post(kind, await request.json())
        query = rison(request.query_params["q"]) if "q" in request.query_params else {}
        if self.mixed_up:  # the filters of all requests of a kind are in one place
            query["filters"] = self.mixed_up.pop()
        rows = list(self.rows[kind].values())
        for wanted in query.get("filters", []):
            column, value = wanted["col"], wanted["value"]
            if column not in FILTERS[kind]:
                return error(400, f"Filter column: {column} not allowed to filter")
            rows = [row for row in rows if self._matches(kind, row, column, wanted["opr"], value)]
        size = query.get("page_size", 20)
        size = LIMIT if size in (-1, 0) else min(size, LIMIT)
        start = query.get("page", 0) * size
        shown = [self._shown(kind, row) for row in rows[start : start + size]]
        if "columns" in query:
            shown = [{k: row[k] for k in query["columns"] if k in row} for row in shown]
        page = {"count": len(rows), "ids": [r["id"] for r in rows[start : start + size]]}
        return JSONResponse({**page, "result": shown})

    def _matches(self, kind: str, row: dict, column: str, operator: str, value) -> bool:
        if operator == "eq":
            return str(row[column]) == str(value)
        if operator == "rel_o_m":
            held = row[column]
            return (held["id"] if isinstance(held, dict) else held) == value
        assert operator == "rel_m_m", operator
        return value in row[column]

    def _kind(self, request: Request) -> str:
        kind = request.path_params["kind"]
        if kind not in self.rows or (kind == "report" and not self.alert_reports):
            raise Refusal(404, "Not found")
        return kind

    # one object

    async def by_uuid(self, request: Request) -> Response:
        kind = request.url.path.removeprefix(f"{API}/").partition("/")[0]
        wanted = str(request.path_params["uuid"])
        for row in self.rows[kind].values():
            if row["uuid"] == wanted:
                return JSONResponse({"result": self._shown(kind, row)})
        return error(404, "Not found")

    async def object(self, request: Request) -> Response:
        kind, number = self._kind(request), request.path_params["id"]
        row = self.rows[kind].get(number)
        if row is None:
            # FAB's own PUT of a user that is gone fails on None.
            missing = kind == "security/users" and request.method == "PUT"
            return error(500, "Fatal error") if missing else error(404, "Not found")
        if request.method == "GET":
            return JSONResponse({"id": number, "result": self._shown(kind, row)})
        if request.method == "DELETE":
            return self._delete(kind, number)
        body = await request.json()
        self._check_fields(kind, body, PUT)
        getattr(self, f"_put_{_plain(kind)}")(row, body)
        return JSONResponse({"id": number, "result": body})

    def _post(self, kind: str, body: dict) -> Response:
        self._check_fields(kind, body, POST)
        missing = REQUIRED.get(kind, set()) - body.keys()
        if missing:
            return error(400, {k: ["Missing data for required field."] for k in sorted(missing)})
        if "uuid" in FILTERS[kind]:
            body["uuid"] = str(UUID(body.get("uuid") or str(uuid4())))
            if any(row["uuid"] == body["uuid"] for row in self.rows[kind].values()):
                return error(422, "UUID already exists")
        row = getattr(self, f"_post_{_plain(kind)}")(body)
        return JSONResponse({"id": row["id"], "result": body}, 201)

    def _check_fields(self, kind: str, body: dict, known: dict) -> None:
        if kind not in known:  # database: unknown fields are dropped
            return
        wrong = sorted(body.keys() - known[kind])
        if wrong:
            raise Refusal(UNKNOWN_FIELD.get(kind, 400), {key: ["Unknown field."] for key in wrong})
        null = sorted(k for k in NOT_NULL & body.keys() if body[k] is None)
        if null:
            raise Refusal(400, {key: ["Field may not be null."] for key in null})

    def _delete(self, kind: str, number: int) -> Response:
        if kind == "database" and any(
            row["database"] == number for row in self.rows["dataset"].values()
        ):
            return error(422, "Cannot delete a database that has datasets attached")
        subject = {"dashboard": "dashboard", "chart": "chart"}.get(kind)
        reports = [r["name"] for r in self.rows["report"].values() if subject and r.get(subject)]
        if reports:
            return error(422, f"There are associated alerts or reports: {','.join(reports)}")
        gone = self.rows[kind].pop(number)
        rules = self.rows["rowlevelsecurity"].values()
        field = {"security/roles": "roles", "dataset": "tables"}.get(kind)
        for rule in rules:  # the rules stay, and filter nothing
            if field:
                rule[field] = [item for item in rule[field] if item != number]
        for holder in ("security/users", "dashboard"):
            for row in self.rows[holder].values():
                if kind == "security/roles":
                    row["roles"] = [item for item in row["roles"] if item != number]
                if kind == "chart" and holder == "dashboard":
                    row["charts"] = [item for item in row["charts"] if item != number]
        self.passwords.pop(gone.get("username"), None)
        return JSONResponse({"message": "OK"})

    def _shown(self, kind: str, row: dict) -> dict:
        show = getattr(self, f"_show_{_plain(kind)}", None)
        return show(row) if show else dict(row)

    def _unique(self, kind: str, body: dict, column: str, own: int | None = None) -> bool:
        return body.get(column) is None or not any(
            row.get(column) == body[column] and row["id"] != own
            for row in self.rows[kind].values()
        )

    def _refs(self, kind: str, numbers: list[int], status: int, field: str) -> list[int]:
        if missing := [number for number in numbers if number not in self.rows[kind]]:
            raise Refusal(status, {field: [f"{field} with ID(s) {missing} not found."]})
        return list(numbers)

    # databases

    def _post_database(self, body: dict) -> dict:
        if not self._unique("database", body, "database_name"):
            raise Refusal(422, {"database_name": "A database with the same name already exists."})
        row = {"is_managed_externally": False, "extra": "{}", **DATABASE_FLAGS}
        row = self._add("database", row | {"uuid": body["uuid"]})
        try:
            self._put_database(row, body)
        except Refusal as refusal:
            del self.rows["database"][row["id"]]
            raise Refusal(400, json.loads(refusal.answer.body)["message"]) from None
        self._permit("database_access", f"[{row['database_name']}].(id:{row['id']})")
        for schema in sorted({schema for schema, _ in self.tables}):
            self._permit("schema_access", f"[{row['database_name']}].[{schema}]")
        return row

    def _put_database(self, row: dict, body: dict) -> None:
        if not self.engine_up:
            raise Refusal(422, "Connection failed, please check your connection settings")
        if not self._unique("database", body, "database_name", row["id"]):
            raise Refusal(422, {"database_name": "already exists"})
        known = {*DATABASE_FLAGS, "database_name", "extra", "uuid", "is_managed_externally"}
        row |= {key: value for key, value in body.items() if key in known}
        uri = body.get("sqlalchemy_uri")
        if uri and MASK not in uri:  # the masked one keeps the stored password
            row["sqlalchemy_uri"] = uri

    def _show_database(self, row: dict) -> dict:
        return {k: v for k, v in row.items() if k not in ("extra", "sqlalchemy_uri")}

    async def connection(self, request: Request) -> Response:
        row = self.rows["database"].get(request.path_params["id"])
        if row is None:
            return error(404, "Not found")
        uri = re.sub(r"(://[^:/@]+:)[^@]*@", rf"\1{MASK}@", row["sqlalchemy_uri"])
        result = {**row, "sqlalchemy_uri": uri, "extra": json.loads(row["extra"])}
        return JSONResponse({"id": row["id"], "result": result})

    # datasets

    def _post_dataset(self, body: dict) -> dict:
        if body["database"] not in self.rows["database"]:
            raise Refusal(422, {"database": ["Database does not exist"]})
        place = (body.get("schema"), body["table_name"])
        if any(
            (row["database"], row["schema"], row["table_name"]) == (body["database"], *place)
            for row in self.rows["dataset"].values()
        ):
            raise Refusal(422, {"table": [f"Dataset {place[1]} already exists"]})
        if place not in self.tables and not body.get("sql"):
            raise Refusal(422, {"table": [f"Table [{place[1]}] could not be found"]})
        columns = self.tables.get(place, [("a", "INTEGER")])
        time = next((name for name, type_ in columns if "TIME" in type_), None)
        row = {
            "description": None,
            "sql": None,
            "cache_timeout": None,
            "main_dttm_col": time,
            "always_filter_main_dttm": False,
            "columns": [self._column(name, type_) for name, type_ in columns],
            "metrics": [
                self._item(
                    "metric",
                    metric_name="count",
                    expression="COUNT(*)",
                    verbose_name="COUNT(*)",
                )
            ],
        }
        return self._add("dataset", row | body)

    def _column(self, name: str, type_: str | None) -> dict:
        return self._item(
            "column",
            column_name=name,
            type=type_,
            is_dttm="TIME" in (type_ or ""),
            filterable=True,
            groupby=True,
            expression=None,
            verbose_name=None,
            description=None,
            python_date_format=None,
        )

    def _item(self, kind: str, **values) -> dict:
        return {"id": next(self._ids[kind]), "uuid": str(uuid4()), **values}

    def _put_dataset(self, row: dict, body: dict) -> None:
        body = {"always_filter_main_dttm": False, **body}
        if "database_id" in body:
            row["database"] = body.pop("database_id")
        for field, name in (("columns", "column_name"), ("metrics", "metric_name")):
            if field in body:
                body[field] = self._replaced(row[field], body[field], field, name)
        row |= body

    def _replaced(self, live: list[dict], sent: list[dict], field: str, name: str) -> list[dict]:
        by_id = {item["id"]: item for item in live}
        names = {item[name] for item in live}
        if len({item[name] for item in sent}) < len(sent):
            raise Refusal(422, {field: [f"One or more {field} are duplicated"]})
        if any(item.get("id") not in by_id for item in sent if "id" in item):
            raise Refusal(422, {field: [f"One or more {field} do not exist"]})
        if any(item[name] in names for item in sent if "id" not in item):
            raise Refusal(422, {field: [f"One or more {field} already exist"]})
        if field == "metrics" and any(not item.get("expression") for item in sent):
            raise Refusal(422, {"metrics": {"expression": ["Missing data for required field."]}})
        fresh = self._column("", None) if field == "columns" else {}
        return [
            {**by_id[item["id"]], **item}
            if "id" in item
            else {**fresh, **self._item(field.removesuffix("s"), **item)}
            for item in sent
        ]

    def _show_dataset(self, row: dict) -> dict:
        database = self.rows["database"][row["database"]]
        return {
            **row,
            "database": {k: database[k] for k in ("id", "uuid", "database_name")},
            "kind": "virtual" if row["sql"] else "physical",
        }

    async def related(self, request: Request) -> Response:
        charts = [
            {k: row[k] for k in ("id", "slice_name", "viz_type")}
            for row in self.rows["chart"].values()
            if row["datasource_id"] == request.path_params["id"]
        ]
        return JSONResponse({"charts": {"count": len(charts), "result": charts}})

    # charts

    def _post_chart(self, body: dict) -> dict:
        row = dict.fromkeys(POST["chart"]) | {"viz_type": "table", "params": "{}"}
        self._put_chart(row, body)
        return self._add("chart", row)

    def _put_chart(self, row: dict, body: dict) -> None:
        if body.get("datasource_id", row["datasource_id"]) not in self.rows["dataset"]:
            raise Refusal(422, {"datasource_id": ["Datasource does not exist"]})
        row |= body

    def _show_chart(self, row: dict) -> dict:
        dataset = self.rows["dataset"].get(row["datasource_id"])
        timeout = row["cache_timeout"]
        return {
            **row,
            "datasource_uuid": dataset and dataset["uuid"],
            "cache_timeout": None if timeout is None else str(timeout),  # a text, on charts only
        }

    def view_chart(self, uuid: str) -> None:
        """What Explore writes when an owner opens the chart."""
        row = self.find("chart", uuid=uuid)
        params = {**json.loads(row["params"]), "slice_id": row["id"], "adhoc_filters": []}
        row |= {"query_context": '{"queries": []}', "params": json.dumps(params)}

    # dashboards

    def _post_dashboard(self, body: dict) -> dict:
        blank = dict.fromkeys(POST["dashboard"]) | {"published": False, "css": ""}
        row = blank | {"roles": [], "charts": [], "json_metadata": "{}", "position_json": None}
        if not self._unique("dashboard", body, "slug"):
            raise Refusal(422, {"slug": ["Must be unique"]})
        self._add("dashboard", row)
        row |= {key: value for key, value in body.items() if key != "json_metadata"}
        return row

    def _put_dashboard(self, row: dict, body: dict) -> None:
        if not self._unique("dashboard", body, "slug", row["id"]):
            raise Refusal(422, {"slug": ["Must be unique"]})
        if "roles" in body:
            self._refs("security/roles", body["roles"], 422, "roles")
        metadata = json.loads(body.pop("json_metadata", None) or "null")
        if metadata is not None:
            if wrong := sorted(metadata.keys() - METADATA):
                raise Refusal(400, {"json_metadata": {key: ["Unknown field."] for key in wrong}})
            positions = metadata.pop("positions", None)
            if positions is not None:
                self._attach(row, positions)
                metadata["default_filters"] = "{}"
            row["json_metadata"] = json.dumps({**METADATA_DEFAULTS, **metadata})
        row |= body

    def _attach(self, row: dict, positions: dict) -> None:
        cells = [
            item["meta"]
            for item in positions.values()
            if isinstance(item, dict) and item["type"] == "CHART"
        ]
        charts = self.rows["chart"]
        row["charts"] = sorted({c["chartId"] for c in cells if c["chartId"] in charts})
        for cell in cells:
            chart = charts.get(cell["chartId"])
            cell["uuid"] = chart["uuid"] if chart else None
        row["position_json"] = json.dumps(positions)

    def _show_dashboard(self, row: dict) -> dict:
        charts = [self.rows["chart"][number]["slice_name"] for number in row["charts"]]
        return {**row, "charts": charts, "roles": self._roles(row["roles"])}

    def view_dashboard(self, uuid: str) -> None:
        """What the page writes when an owner opens the dashboard."""
        row = self.find("dashboard", uuid=uuid)
        metadata = json.loads(row["json_metadata"])
        metadata |= {"color_scheme_domain": ["#111"], "map_label_colors": {"EU": "#222"}}
        row["json_metadata"] = json.dumps(metadata)

    # security

    def _roles(self, numbers: list[int]) -> list[dict]:
        roles = self.rows["security/roles"]
        return [{"id": number, "name": roles[number]["name"]} for number in numbers]

    def _post_role(self, body: dict) -> dict:
        if not self._unique("security/roles", body, "name"):
            raise Refusal(500, "Fatal error")
        return self._add("security/roles", {"name": body["name"], "permissions": []})

    def _put_role(self, row: dict, body: dict) -> None:
        row |= body

    def _show_role(self, row: dict) -> dict:
        return {"id": row["id"], "name": row["name"]}

    async def permissions(self, request: Request) -> Response:
        row = self.rows["security/roles"].get(request.path_params["id"])
        if row is None:
            return error(404, "Not found")
        grants = [self.rows["security/permissions-resources"][n] for n in row["permissions"]]
        shown = [
            {
                "id": grant["id"],
                "permission_name": grant["permission"]["name"],
                "view_menu_name": grant["view_menu"]["name"],
            }
            for grant in grants
        ]
        return JSONResponse({"result": shown})

    async def grant(self, request: Request) -> Response:
        row = self.rows["security/roles"].get(request.path_params["id"])
        body = await request.json()
        if row is None:
            return error(404, "Not found")
        known = self.rows["security/permissions-resources"]
        row["permissions"] = [n for n in body["permission_view_menu_ids"] if n in known]
        return JSONResponse({"result": body})

    def _show_grant(self, row: dict) -> dict:
        return {**row, "view_menu": {"name": row["view_menu"]["name"]}}

    def _post_user(self, body: dict) -> dict:
        if not body.get("roles"):
            raise Refusal(400, {"_schema": ["At least one of 'roles' or 'groups' must be ..."]})
        row = {"active": True}
        self._put_user({**row, "id": None}, body)
        self._add("security/users", row)
        self._put_user(row, body)
        return row

    def _put_user(self, row: dict, body: dict) -> None:
        self._refs("security/roles", body.get("roles", []), 400, "roles")
        for column in ("username", "email"):
            if not self._unique("security/users", body, column, row["id"]):
                raise Refusal(422, "duplicate key value violates unique constraint")
        row |= {key: value for key, value in body.items() if key != "password"}
        if row["id"] is not None and "password" in body:
            self.passwords[row["username"]] = body["password"]

    def _show_user(self, row: dict) -> dict:
        return {**row, "roles": self._roles(row["roles"])}

    def _post_rule(self, body: dict) -> dict:
        if not self._unique("rowlevelsecurity", body, "name"):
            raise Refusal(422, "()")
        if not body["tables"]:
            raise Refusal(400, {"tables": ["Shorter than minimum length 1."]})
        row = {"description": None, "group_key": None, "roles": [], "tables": []}
        self._put_rule(row, body)
        return self._add("rowlevelsecurity", row)

    def _put_rule(self, row: dict, body: dict) -> None:
        # Left out, both lists are emptied: the rule then filters nothing.
        lists = {"roles": [], "tables": []}
        self._refs("security/roles", body.get("roles", []), 422, "roles")
        self._refs("dataset", body.get("tables", []), 422, "tables")
        row |= {**lists, **body, **(lists if self.drops_lists else {})}

    def _show_rule(self, row: dict) -> dict:
        tables = [self.rows["dataset"][number] for number in row["tables"]]
        return {
            **row,
            "roles": self._roles(row["roles"]),
            "tables": [{k: t[k] for k in ("id", "schema", "table_name")} for t in tables],
        }

    # CSS templates and reports

    def _post_css(self, body: dict) -> dict:
        return self._add("css_template", {"css": None, **body})

    def _put_css(self, row: dict, body: dict) -> None:
        row |= body

    def _post_report(self, body: dict) -> dict:
        row = {
            "grace_period": 14_400,
            "working_timeout": 3_600,
            "log_retention": 90,
            "recipients": [],
            **dict.fromkeys(("chart", "dashboard", "database", "sql", "validator_type")),
            **dict.fromkeys(("validator_config_json", "description", "email_subject")),
            "context_markdown": None,
        }
        if body["type"] == "Report" and "database" in body:
            raise Refusal(400, {"database": ["Database reference is not allowed on a report"]})
        if body["type"] == "Alert" and "database" not in body:
            raise Refusal(422, {"database": ["Database is required for alerts"]})
        self._put_report(row, body)
        return self._add("report", row)

    def _put_report(self, row: dict, body: dict) -> None:
        merged = {**row, **body}
        for other in self.rows["report"].values():
            if other is not row and (other["name"], other["type"]) == (
                merged["name"],
                merged["type"],
            ):
                raise Refusal(422, {"name": ["A report named so already exists"]})
        if body.get("grace_period", 1) < 1:
            raise Refusal(400, {"grace_period": ["Value must be greater than 0"]})
        if bool(merged["chart"]) == bool(merged["dashboard"]):
            raise Refusal(422, {"dashboard": ["Choose a chart or dashboard not both"]})
        for kind in ("chart", "dashboard", "database"):
            if merged[kind]:
                self._refs(kind, [merged[kind]], 422, kind)
        row |= body

    def _show_report(self, row: dict) -> dict:
        return {
            **row,
            **{
                kind: row[kind] and {"id": row[kind]}
                for kind in ("chart", "dashboard", "database")
            },
            "validator_config_json": json.dumps(row["validator_config_json"] or {}),
            "recipients": [
                {**item, "recipient_config_json": json.dumps(item["recipient_config_json"])}
                for item in row["recipients"]
            ],
        }


def _plain(kind: str) -> str:
    return {
        "security/roles": "role",
        "security/users": "user",
        "security/permissions-resources": "grant",
        "rowlevelsecurity": "rule",
        "css_template": "css",
    }.get(kind, kind)
