-- Business of one moment: %(orders)s new orders, a quarter as many changed orders, and a
-- twentieth as many customers who moved. Each row carries the current time as its cursor.
INSERT INTO orders (order_id, customer_id, product_id, order_date, amount, status, updated_at)
SELECT
    (SELECT max(order_id) FROM orders) + n,
    buyer.customer_id,
    1 + floor(random() * (SELECT max(id) FROM products))::bigint,
    (now() AT TIME ZONE 'UTC')::date,
    round((1 + random() * 400)::numeric, 2),
    'pending',
    now() AT TIME ZONE 'UTC'
FROM generate_series(1, %(orders)s) AS n
JOIN (
    SELECT customer_id, row_number() OVER (ORDER BY random()) AS place, count(*) OVER () AS buyers
    FROM customers
    WHERE customer_id IS NOT NULL
) AS buyer ON buyer.place = 1 + n %% buyer.buyers;

UPDATE orders
SET
    status = CASE trim(lower(status)) WHEN 'shipped' THEN 'completed' ELSE 'shipped' END,
    updated_at = now() AT TIME ZONE 'UTC'
WHERE order_id IN (
    SELECT order_id FROM orders
    GROUP BY order_id
    HAVING max(updated_at) < now() AT TIME ZONE 'UTC'
    ORDER BY max(order_date) DESC, random()
    LIMIT ceil(%(orders)s / 4.0)
);

UPDATE customers
SET
    address = ceil(random() * 990)::text || ' New Street',
    updated_at = now() AT TIME ZONE 'UTC'
WHERE customer_id IN (
    SELECT customer_id FROM customers
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
    ORDER BY random()
    LIMIT ceil(%(orders)s / 20.0)
);
