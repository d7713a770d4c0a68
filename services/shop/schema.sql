-- No unique constraint: like many real systems, this one holds several versions of a row.
-- Times are UTC. `updated_at` is the cursor of incremental reads.
CREATE TABLE IF NOT EXISTS customers (
    customer_id bigint,
    name text,
    email text,
    phone text,
    address text,
    city text,
    state text,
    zip_code text,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    order_id bigint NOT NULL,
    customer_id bigint,
    product_id bigint,
    order_date date NOT NULL,
    amount numeric(12, 2),
    status text,
    updated_at timestamp NOT NULL
);
CREATE TABLE IF NOT EXISTS products (
    id bigint NOT NULL,
    name text NOT NULL,
    price numeric(12, 2) NOT NULL
);
CREATE INDEX IF NOT EXISTS customers_updated_at ON customers (updated_at);
CREATE INDEX IF NOT EXISTS orders_updated_at ON orders (updated_at);
CREATE INDEX IF NOT EXISTS orders_order_id ON orders (order_id);
