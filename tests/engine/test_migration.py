"""Moving on to another stack: what the old one has read and knows goes along, once."""

import httpx
import psycopg
import pytest

from operations import clients
from tests.support.deployed import ORDERS, Deployed, flight_rows, small_stack

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]

FEW = 60  # rows with the newest cursor are read again by an incremental sync
GOLD = "SELECT COUNT(*) AS orders, SUM(amount) AS revenue FROM gold.fct_orders"
BRONZE = "SELECT COUNT(*) AS n FROM bronze.orders"
PERSON = {"username": "ada", "password": "to-be-carried-over"}


@pytest.fixture
def person(deployed):
    """A user of the old stack's Superset that nobody declared."""
    with superset(deployed, admin(deployed)) as api:
        roles = api.get("/api/v1/security/roles/").raise_for_status().json()["result"]
        body = {
            "username": PERSON["username"],
            "password": PERSON["password"],
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.com",
            "active": True,
            "roles": [role["id"] for role in roles if role["name"] == "Gamma"],
        }
        id_ = api.post("/api/v1/security/users/", json=body).raise_for_status().json()["id"]
    yield PERSON
    with superset(deployed, admin(deployed)) as api:  # a login is good for minutes
        api.delete(f"/api/v1/security/users/{id_}").raise_for_status()


def admin(deployed: Deployed) -> dict:
    return {"username": "admin", "password": deployed.password("superset-admin")}


def superset(deployed: Deployed, login: dict) -> httpx.Client:
    url, trust = deployed.url("superset"), deployed.stack.trust
    body = {"provider": "db", "refresh": True, **login}
    answer = httpx.post(f"{url}/api/v1/security/login", json=body, verify=trust, timeout=120)
    token = answer.raise_for_status().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, verify=trust, timeout=120)


def runs_of_dbt(deployed: Deployed) -> set:
    login = {**clients.postgres(deployed.stack), "dbname": "pipeline"}
    with psycopg.connect(**login) as db:
        return set(db.execute("SELECT run_id, started_at FROM dbt_run_history").fetchall())


def rows_synced(deployed: Deployed) -> list[int]:
    """Of each sync of the shop, the first one first."""
    with clients.airbyte(deployed.stack) as airbyte:
        [shop] = [c for c in airbyte.every("/connections", {}) if c["name"] == "postgres"]
        jobs = list(airbyte.every("/jobs", {"connectionId": shop["connectionId"]}))
    return [job["rowsSynced"] for job in sorted(jobs, key=lambda job: int(job["jobId"]))]


def test_the_new_stack_goes_on_where_the_old_one_is(deployed, person):
    with small_stack(f"{deployed.stack.name}-next") as stack:
        names = deployed.stack.name, stack.name
        shown = deployed.dataflow("migrate", "--from", names[0], "--to", names[1])
        print(shown[shown.index("migrated from") :])
        new = Deployed(stack)

        assert rows_synced(deployed)[0] > ORDERS
        [first] = rows_synced(new)
        assert first < FEW
        assert flight_rows(new, GOLD) == flight_rows(deployed, GOLD)
        [before], [after] = flight_rows(deployed, BRONZE), flight_rows(new, BRONZE)
        assert before["n"] <= after["n"] < before["n"] + FEW

        assert runs_of_dbt(new) > runs_of_dbt(deployed)
        with superset(new, person) as api:
            api.get("/api/v1/dashboard/").raise_for_status()  # by a role: nobody else may
        new.pulumi("preview", "--expect-no-changes")
    deployed.pulumi("preview", "--expect-no-changes")
