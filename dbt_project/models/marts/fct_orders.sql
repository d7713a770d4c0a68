{{ config(file='orders', partition_by=['"year"', '"month"'], localsort_by=['order_date']) }}

SELECT
    order_id,
    customer_id,
    product_id,
    order_date,
    amount,
    status,
    updated_at,
    EXTRACT(YEAR FROM order_date) AS "year",
    EXTRACT(MONTH FROM order_date) AS "month"
FROM {{ ref('stg_orders') }}
