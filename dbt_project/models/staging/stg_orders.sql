{{ config(
    object_storage_path='silver.orders',
    file='version=v1',
    localsort_by=['order_id']
) }}

WITH source AS (
    {{ newest_version(source('bronze', 'orders'), 'order_id') }}
),

cleaned AS (
    SELECT
        CAST(order_id AS BIGINT) AS order_id,
        -- Null for a guest: the order counts as revenue and belongs to no customer.
        CAST(customer_id AS BIGINT) AS customer_id,
        CAST(product_id AS BIGINT) AS product_id,
        CAST(order_date AS DATE) AS order_date,
        CAST(amount AS DECIMAL(18, 2)) AS amount,
        LOWER(TRIM(status)) AS status,
        CAST(updated_at AS TIMESTAMP) AS updated_at
    FROM source
)

SELECT * FROM cleaned
WHERE amount > 0
