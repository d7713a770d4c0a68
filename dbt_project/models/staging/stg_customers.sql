{{ config(
    object_storage_path='silver.customers',
    file='version=v1',
    localsort_by=['customer_id']
) }}

WITH source AS (
    {{ newest_version(source('bronze', 'customers'), 'customer_id') }}
),

cleaned AS (
    SELECT
        CAST(customer_id AS BIGINT) AS customer_id,
        TRIM(UPPER(name)) AS customer_name,
        LOWER(email) AS email,
        phone,
        address,
        city,
        state,
        zip_code,
        CAST(created_at AS TIMESTAMP) AS created_at,
        CAST(updated_at AS TIMESTAMP) AS updated_at
    FROM source
)

SELECT * FROM cleaned
