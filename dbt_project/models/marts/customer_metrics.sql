{#- The day is part of the path: a second run of a day replaces that day's snapshot only. It comes
    from the environment because dbt keeps parsed configurations: a changed variable makes it parse
    this file again, a changed clock would not. -#}
{%- set snapshot = env_var('DATAFLOW_SNAPSHOT') -%}
{{ config(object_storage_path='gold.customer_metrics', file='snapshot=' ~ snapshot) }}

SELECT
    CAST('{{ snapshot }}' AS DATE) AS "snapshot",
    customer_id,
    customer_name,
    email,
    total_orders,
    lifetime_value,
    average_order_value,
    first_order_date,
    last_order_date,
    customer_lifespan_days
FROM {{ ref('fct_customer_lifetime_value') }}
