"""The sample source system, in a real PostgreSQL."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from services.shop.__main__ import change, main, read_config, seed
from services.shop.generate import generate
from tests.support.databases import connect, new_database

ORDERS = 2_000
AS_OF = date(2026, 3, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def settings(postgres_server, folder):
    return new_database(postgres_server, "test-shop", folder) | {"orders": ORDERS}


@pytest.fixture(scope="module")
def seeded(postgres_server, settings) -> Iterator[psycopg.Connection]:
    print(seed(read_config(settings), AS_OF))
    with connect(postgres_server, "test-shop") as db:
        yield db


def value(db, query):
    return db.execute(query).fetchone()[0]


@pytest.mark.service
def test_the_shop_has_the_asked_orders_over_the_year_before_the_seeding(seeded):
    assert value(seeded, "SELECT count(DISTINCT order_id) FROM orders") == ORDERS
    assert value(seeded, "SELECT max(order_date) FROM orders") < AS_OF
    assert value(seeded, "SELECT min(order_date) FROM orders") >= AS_OF - timedelta(days=365)
    assert value(seeded, "SELECT count(DISTINCT order_date) FROM orders") > 300
    assert value(seeded, "SELECT max(updated_at) FROM orders") < datetime(2026, 3, 1)
    assert value(seeded, "SELECT count(*) FROM products WHERE price > 0") > 100


@pytest.mark.service
@pytest.mark.parametrize(
    "fault",
    [
        "SELECT count(*) FROM customers WHERE customer_id IS NULL",
        "SELECT count(*) FROM customers WHERE email IS NULL",
        "SELECT count(*) FROM customers WHERE phone IS NULL",
        "SELECT count(*) FROM customers WHERE name <> trim(name)",
        "SELECT count(*) FROM customers WHERE name = lower(name)",
        "SELECT count(*) FROM orders WHERE customer_id IS NULL",
        "SELECT count(*) FROM orders WHERE amount <= 0",
        "SELECT count(*) FROM orders WHERE status <> lower(trim(status))",
        "SELECT count(*) - count(DISTINCT order_id) FROM orders",
        "SELECT count(customer_id) - count(DISTINCT customer_id) FROM customers",
    ],
)
def test_every_fault_to_clean_is_there_and_rare(seeded, fault):
    assert 0 < value(seeded, fault) < ORDERS / 10


@pytest.mark.service
def test_versions_of_one_order_differ_in_their_cursor(seeded):
    assert value(
        seeded,
        "SELECT count(*) FROM (SELECT order_id FROM orders GROUP BY order_id "
        "HAVING count(DISTINCT updated_at) > 1) AS several",
    )


@pytest.mark.service
def test_orders_refer_to_customers_and_products_that_exist(seeded):
    for column, table, key in (
        ("customer_id", "customers", "customer_id"),
        ("product_id", "products", "id"),
    ):
        assert not value(
            seeded,
            f"SELECT count(*) FROM orders WHERE {column} IS NOT NULL "
            f"AND {column} NOT IN (SELECT {key} FROM {table} WHERE {key} IS NOT NULL)",
        )


@pytest.mark.service
def test_a_second_seed_of_the_same_size_changes_nothing(seeded, settings):
    seeded.execute("UPDATE products SET price = 7 WHERE id = 1")
    assert "already seeded" in seed(read_config(settings), AS_OF)
    assert value(seeded, "SELECT price FROM products WHERE id = 1") == Decimal(7)


@pytest.mark.service
def test_a_seed_that_breaks_off_leaves_the_old_rows(seeded, settings):
    seeded.execute("ALTER TABLE products ADD CONSTRAINT few CHECK (id < 140) NOT VALID")
    before = value(seeded, "SELECT count(*) FROM orders")
    try:
        with pytest.raises(psycopg.errors.CheckViolation):
            seed(read_config(settings | {"orders": ORDERS * 3}), AS_OF)
    finally:
        seeded.execute("ALTER TABLE products DROP CONSTRAINT few")
    assert value(seeded, "SELECT count(*) FROM orders") == before


@pytest.mark.service
def test_changes_carry_the_current_time_as_cursor(seeded, settings):
    last_id = value(seeded, "SELECT max(order_id) FROM orders")
    start = datetime.now(UTC).replace(tzinfo=None)
    print(change(read_config(settings), 40))
    fresh = f"FROM orders WHERE updated_at >= '{start}'"
    assert value(seeded, f"SELECT count(*) {fresh} AND order_id > {last_id}") == 40
    assert (
        value(seeded, f"SELECT count(DISTINCT order_id) {fresh} AND order_id <= {last_id}") == 10
    )
    assert value(seeded, f"SELECT count(*) FROM customers WHERE updated_at >= '{start}'") >= 2
    assert value(seeded, "SELECT max(order_id) FROM orders") == last_id + 40


@pytest.mark.service
def test_an_empty_shop_cannot_change(postgres_server, folder):
    empty = new_database(postgres_server, "test-empty-shop", folder)
    with pytest.raises(ValueError, match="seed"):
        change(read_config(empty), 1)


def test_the_same_size_and_day_give_the_same_rows(tmp_path):
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files = generate(1_000, AS_OF, tmp_path / name)
        digests.append({t: hashlib.sha256(p.read_bytes()).hexdigest() for t, p in files.items()})
    assert digests[0] == digests[1]


def test_the_smallest_shop_has_its_orders(tmp_path):
    orders = generate(100, AS_OF, tmp_path)["orders"].read_text().splitlines()
    assert len({row.split(",")[0] for row in orders}) == 100


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"orders": 5}, "orders: 5: expected 100 to"),
        ({"order": 5_000}, "unknown setting 'order'"),
        ({"passwordFile": "/nowhere/password"}, "/nowhere/password"),
    ],
)
def test_wrong_settings_are_named(tmp_path, capsys, wrong, text):
    good = {"host": "127.0.0.1", "port": 1, "dbname": "shop", "user": "shop", "passwordFile": "x"}
    config = tmp_path / "shop.json"
    config.write_text(json.dumps(good | wrong))
    assert main(["seed", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert text in error and str(config) in error
