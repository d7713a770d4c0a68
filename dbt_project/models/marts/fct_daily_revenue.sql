{{ config(file='daily_revenue', partition_by=['"year"', '"month"'], localsort_by=['order_date']) }}

WITH completed_orders AS (
    SELECT * FROM {{ ref('fct_orders') }}
    WHERE status = 'completed'
),

metrics AS (
    SELECT
        order_date,
        SUM(amount) AS daily_revenue,
        -- The name by which the specification's dashboard query sums revenue over days.
        SUM(amount) AS amount,
        COUNT(*) AS total_orders,
        COUNT(DISTINCT customer_id) AS total_customers,
        AVG(amount) AS average_order_value,
        EXTRACT(YEAR FROM order_date) AS "year",
        EXTRACT(MONTH FROM order_date) AS "month",
        EXTRACT(DAY FROM order_date) AS "day"
    FROM completed_orders
    GROUP BY order_date
)

SELECT * FROM metrics
