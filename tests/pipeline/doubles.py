"""HTTP doubles of Airbyte, Dremio and Superset, and a stand-in for the dbt program.

They keep the rules that the pipeline depends on (409 for a second sync, asynchronous jobs,
reflections that become available later) and answer real requests.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Answer = tuple[int, Any]
Route = Callable[..., Answer]


class Double:
    """Routes are methods named in `routes`: "GET /path/(group)" -> method of the groups and
    the body, or the query's parameters. `calls` holds what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.url = ""

    def routes(self) -> dict[str, Route]:
        raise NotImplementedError

    def asked(self, method: str, path: str) -> list[Any]:
        return [body for m, p, body in self.calls if (m, p) == (method, path)]

    def answer(self, method: str, path: str, body: Any) -> Answer:
        self.calls.append((method, path, body))
        for pattern, route in self.routes().items():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return route(*match.groups(), body)
        return 404, {"errorMessage": f"no route {method} {path}"}

    @contextmanager
    def running(self) -> Iterator["Double"]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                path, _, query = self.path.partition("?")
                body = json.loads(self.rfile.read(size)) if size else dict(parse_qsl(query))
                status, answer = double.answer(self.command, path, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Airbyte(Double):
    """Connections by name. `failing`: those whose sync fails. `running_jobs`: connection -> a job
    that runs already. Each job ends when it is asked for the second time."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.failing: set[str] = set()
        self.running_jobs: dict[str, int] = {}
        self.jobs: dict[int, dict[str, Any]] = {}

    def routes(self) -> dict[str, Route]:
        public = "/api/public/v1"
        return {
            f"POST {public}/applications/token": self._token,
            f"GET {public}/connections": self._connections,
            f"POST {public}/jobs": self._start,
            f"GET {public}/jobs": self._jobs,
            rf"GET {public}/jobs/(\d+)": self._job,
            "POST /api/v1/jobs/get": self._why,
        }

    def _token(self, body: Any) -> Answer:
        return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 900}

    def _page(self, entries: list[Any], parameters: dict[str, str]) -> Answer:
        # As the real lists: `next` is set on every page, the empty page is the end.
        page = [] if int(parameters["offset"]) else entries
        return 200, {"data": page, "next": "more" if page else ""}

    def _connections(self, parameters: dict[str, str]) -> Answer:
        entries = [{"name": n, "connectionId": f"id-{n}", "status": "active"} for n in self.names]
        return self._page(entries, parameters)

    def _start(self, body: Any) -> Answer:
        name = body["connectionId"].removeprefix("id-")
        if name in self.running_jobs:
            self.jobs[self.running_jobs[name]] = {"name": name, "polls": 0}
            return 409, {"data": {"message": "A sync is already running"}}
        number = len(self.jobs) + 1
        self.jobs[number] = {"name": name, "polls": 0}
        return 200, {"jobId": number, "status": "pending"}

    def _status(self, number: int) -> dict[str, Any]:
        job = self.jobs[number]
        ended = "failed" if job["name"] in self.failing else "succeeded"
        status = ended if job["polls"] > 1 else "running"
        rows = 100 if status == "succeeded" else 0
        return {"jobId": number, "status": status, "jobType": "sync", "rowsSynced": rows}

    def _jobs(self, parameters: dict[str, str]) -> Answer:
        name = parameters["connectionId"].removeprefix("id-")
        numbers = [number for number, job in self.jobs.items() if job["name"] == name]
        return self._page([self._status(number) for number in numbers], parameters)

    def _job(self, number: str, body: Any) -> Answer:
        self.jobs[int(number)]["polls"] += 1
        return 200, self._status(int(number))

    def _why(self, body: Any) -> Answer:
        failures = [{"externalMessage": "the source refused the password"}]
        return 200, {"attempts": [{"attempt": {"failureSummary": {"failures": failures}}}]}


class Dremio(Double):
    """`broken_sql`: a statement that holds this text fails. `reflection_status`: what the one
    reflection of each dataset turns into after it was refreshed."""

    def __init__(self) -> None:
        super().__init__()
        self.broken_sql = "\0"
        self.sql: list[str] = []
        self.refreshes = 0
        self.reflection_status = {"refresh": "SCHEDULED", "availability": "AVAILABLE"}

    def routes(self) -> dict[str, Route]:
        return {
            "POST /apiv2/login": lambda body: (200, {"token": "t"}),
            "POST /api/v3/sql": self._sql,
            r"GET /api/v3/job/(\d+)": self._job,
            r"GET /api/v3/job/(\d+)/results": self._rows,
            r"GET /api/v3/catalog/by-path/(.+)": self._dataset,
            r"GET /api/v3/dataset/(.+)/reflection": self._reflections,
            r"GET /api/v3/reflection/(.+)": lambda id_, body: (200, self._reflection(id_)),
        }

    def _sql(self, body: Any) -> Answer:
        self.sql.append(body["sql"])
        self.refreshes += "REFRESH REFLECTIONS" in body["sql"]
        return 200, {"id": str(len(self.sql) - 1)}

    def _job(self, number: str, body: Any) -> Answer:
        if self.broken_sql in self.sql[int(number)]:
            return 200, {"jobState": "FAILED", "errorMessage": "the folder is empty"}
        return 200, {"jobState": "COMPLETED", "rowCount": 1}

    def _rows(self, number: str, body: Any) -> Answer:
        if "INFORMATION_SCHEMA" in self.sql[int(number)]:
            names = [("gold", "fct_orders"), ("bronze", "orders")]
            rows = [{"layer": a, "dataset": b} for a, b in names]
        else:
            rows = [{"row_count": 1234}]
        return 200, {"rowCount": len(rows), "rows": rows}

    def _dataset(self, path: str, body: Any) -> Answer:
        return 200, {"id": path.replace("/", "."), "type": "VIRTUAL_DATASET"}

    def _reflections(self, dataset: str, body: Any) -> Answer:
        return 200, {"data": [self._reflection(f"r-{dataset}")]}

    def _reflection(self, id_: str) -> dict[str, Any]:
        status = {"refresh": "SCHEDULED", "availability": "AVAILABLE"}
        if self.refreshes:
            status = self.reflection_status
        fetch = {"lastDataFetch": str(self.refreshes)}
        return {"id": id_, "name": id_, "enabled": True, "status": status | fetch}


class Superset(Double):
    """A dashboard `sales` with one chart that stores its query and one that does not."""

    def routes(self) -> dict[str, Route]:
        return {
            "POST /api/v1/security/login": lambda body: (200, {"access_token": "t"}),
            "GET /api/v1/security/csrf_token/": lambda body: (200, {"result": "c"}),
            "GET /api/v1/dashboard/sales/charts": lambda body: (
                200,
                {"result": [{"id": 1}, {"id": 2}]},
            ),
            r"GET /api/v1/chart/(\d)": self._chart,
            "POST /api/v1/chart/data": lambda body: (200, {"result": []}),
        }

    def _chart(self, number: str, body: Any) -> Answer:
        stored = json.dumps({"queries": [{"metrics": ["m"]}], "force": False})
        query = stored if number == "1" else None
        return 200, {"result": {"slice_name": f"Chart {number}", "query_context": query}}


FAKE_DBT = """#!{python}
import json, os, pathlib, sys, time
plan = json.loads(pathlib.Path({plan!r}).read_text())
target = pathlib.Path(os.environ["DBT_TARGET_PATH"])
seen = {{"argv": sys.argv, "env": dict(os.environ), "pid": os.getpid()}}
(target / "seen.json").write_text(json.dumps(seen))
print(plan["says"], flush=True)
time.sleep(plan["takes_s"])
if plan["results"] is not None:
    (target / "run_results.json").write_text(json.dumps(plan["results"]))
"""


def results(**statuses: str) -> dict[str, Any]:
    """dbt's account of a run: statuses by `kind__name`."""
    return {
        "metadata": {
            "invocation_id": "6f1c2b8e-6f0e-4c43-9b1e-0d9f6a3f5b11",
            "generated_at": "2026-03-01T02:30:00.000000Z",
        },
        "results": [
            {
                "unique_id": key.replace("__", ".shop.", 1),
                "status": status,
                "execution_time": 1.5,
                "failures": 3 if status == "fail" else None,
                "message": f"what\n{key} said",
            }
            for key, status in statuses.items()
        ],
    }


def fake_dbt(
    folder: Path, python: str, results: Any, *, says: str = "", takes_s: float = 0.0
) -> Path:
    """A program that leaves `results` where dbt does."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"results": results, "says": says, "takes_s": takes_s}))
    program = folder / "dbt"
    program.write_text(FAKE_DBT.format(python=python, plan=str(plan)))
    program.chmod(0o755)
    return program
