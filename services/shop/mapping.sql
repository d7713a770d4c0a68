-- TPC-H tables (views tpch_*) become the shop's tables. DuckDB.
-- Variables: as_of (DATE), orders (BIGINT).
--
-- Every choice follows from a row's number by arithmetic, so the same size and day give the same
-- rows. The moduli of the faults are primes: faults overlap rarely and at every size.

CREATE MACRO pick(names, n) AS names[1 + (n % len(names))];
CREATE MACRO second_of_day(n) AS to_seconds((n * 7919) % 86400);

CREATE TABLE numbered_customers AS
SELECT
    c_custkey AS n,
    pick(['Amelia', 'Ben', 'Chloe', 'Daniel', 'Elena', 'Farid', 'Grace', 'Hugo', 'Ines', 'Jonas',
          'Keiko', 'Liam', 'Maya', 'Noah', 'Olivia', 'Pavel', 'Quinn', 'Rosa', 'Samuel', 'Tara',
          'Umar', 'Vera', 'Walter', 'Ximena', 'Yusuf', 'Zoe', 'Aaron', 'Bianca', 'Carlos'],
         c_custkey * 11) AS first_name,
    pick(['Adams', 'Baker', 'Castillo', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Hansen', 'Ito',
          'Jensen', 'Kowalski', 'Lopez', 'Martin', 'Nguyen', 'Okafor', 'Patel', 'Quigley',
          'Rossi', 'Schmidt', 'Tanaka', 'Ueda', 'Vargas', 'Weber', 'Xu', 'Young', 'Zhang',
          'Almeida', 'Brown', 'Chen', 'Dimitrov', 'Eriksen'], c_custkey * 17) AS last_name,
    pick([
        {'city': 'Los Angeles', 'state': 'CA', 'zip': 900},
        {'city': 'San Diego', 'state': 'CA', 'zip': 921},
        {'city': 'San Jose', 'state': 'CA', 'zip': 951},
        {'city': 'New York', 'state': 'NY', 'zip': 100},
        {'city': 'Buffalo', 'state': 'NY', 'zip': 142},
        {'city': 'Houston', 'state': 'TX', 'zip': 770},
        {'city': 'Austin', 'state': 'TX', 'zip': 787},
        {'city': 'Chicago', 'state': 'IL', 'zip': 606},
        {'city': 'Phoenix', 'state': 'AZ', 'zip': 850},
        {'city': 'Philadelphia', 'state': 'PA', 'zip': 191},
        {'city': 'Columbus', 'state': 'OH', 'zip': 432},
        {'city': 'Seattle', 'state': 'WA', 'zip': 981},
        {'city': 'Denver', 'state': 'CO', 'zip': 802},
        {'city': 'Boston', 'state': 'MA', 'zip': 21},
        {'city': 'Miami', 'state': 'FL', 'zip': 331}
    ], c_custkey * 7) AS place,
    pick(['Oak Street', 'Maple Avenue', 'Lake Road', 'Hill Drive', 'Mill Lane', 'Park Place'],
         c_custkey * 5) AS street,
    c_phone AS phone,
    getvariable('as_of') - 366 - ((c_custkey * 37) % 1095)::INTEGER + second_of_day(c_custkey)
        AS created_at
FROM tpch_customer;

CREATE TABLE clean_customers AS
SELECT
    n AS customer_id,
    first_name || ' ' || last_name AS name,
    lower(first_name || '.' || last_name || n || '@example.com') AS email,
    phone,
    (n * 13) % 990 + 10 || ' ' || street AS address,
    place.city AS city,
    place.state AS state,
    format('{:03d}{:02d}', place.zip, n % 100) AS zip_code,
    created_at,
    created_at + to_days((n % 350)::INTEGER) AS updated_at
FROM numbered_customers;

CREATE TABLE customers AS
SELECT * REPLACE (
    CASE
        WHEN customer_id % 7 = 3 THEN '  ' || upper(name)
        WHEN customer_id % 11 = 5 THEN lower(name) || ' '
        ELSE name
    END AS name,
    CASE
        WHEN customer_id % 29 = 13 THEN NULL
        WHEN customer_id % 5 = 2 THEN upper(email[1]) || email[2:]
        ELSE email
    END AS email,
    CASE WHEN customer_id % 23 = 9 THEN NULL ELSE phone END AS phone
)
FROM clean_customers
UNION ALL  -- the row before the customer moved
SELECT * REPLACE ('1 Former Street' AS address, created_at AS updated_at)
FROM clean_customers
WHERE customer_id % 61 = 11 AND updated_at > created_at
UNION ALL  -- rows that lost their key
SELECT * REPLACE (NULL AS customer_id)
FROM clean_customers
WHERE customer_id % 83 = 41;

CREATE TABLE clean_orders AS
WITH numbered AS (
    SELECT
        row_number() OVER (ORDER BY o_orderkey) AS order_id,
        o_orderkey,
        o_custkey AS customer_id,
        -- TPC-H orders lie between 1992-01-01 and 1998-08-02: 2406 days become 365.
        getvariable('as_of') - 365 + ((o_orderdate - DATE '1992-01-01') * 365 // 2406)::INTEGER
            AS order_date,
        round(o_totalprice / 1000, 2) AS amount
    FROM tpch_orders
),

first_items AS (
    SELECT l_orderkey, arg_min(l_partkey, l_linenumber) AS product_id
    FROM tpch_lineitem
    GROUP BY l_orderkey
),

described AS (
    SELECT
        order_id,
        customer_id,
        product_id,
        order_date,
        amount,
        CASE
            WHEN order_date >= getvariable('as_of') - 3
                THEN pick(['pending', 'processing', 'shipped'], order_id)
            WHEN order_id % 17 = 4 THEN 'cancelled'
            WHEN order_id % 31 = 8 THEN 'returned'
            ELSE 'completed'
        END AS status,
        order_date + second_of_day(order_id) AS placed_at
    FROM numbered
    LEFT JOIN first_items ON l_orderkey = o_orderkey
    ORDER BY order_id
    LIMIT getvariable('orders')
)

SELECT
    * EXCLUDE (placed_at),
    placed_at,
    least(
        placed_at + to_hours((order_id % 72)::INTEGER),
        getvariable('as_of')::TIMESTAMP - to_seconds(order_id % 3600 + 1)
    ) AS updated_at
FROM described;

CREATE TABLE orders AS
SELECT * EXCLUDE (placed_at) REPLACE (
    CASE WHEN order_id % 211 = 17 THEN NULL ELSE customer_id END AS customer_id,
    CASE
        WHEN order_id % 997 = 13 THEN 0
        WHEN order_id % 997 = 500 THEN -amount
        ELSE amount
    END AS amount,
    CASE WHEN order_id % 19 = 6 THEN ' ' || upper(status) ELSE status END AS status
)
FROM clean_orders
UNION ALL  -- the row before the order's status changed
SELECT * EXCLUDE (placed_at) REPLACE ('pending' AS status, placed_at AS updated_at)
FROM clean_orders
WHERE order_id % 53 = 7 AND updated_at > placed_at
UNION ALL  -- the same row twice
SELECT * EXCLUDE (placed_at)
FROM clean_orders
WHERE order_id % 499 = 3;

CREATE TABLE products AS
SELECT p_partkey AS id, p_name AS name, round(p_retailprice / 10, 2) AS price
FROM tpch_part;
