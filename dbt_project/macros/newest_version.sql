{#- One row per key of a bronze dataset. Bronze holds every version that was ever delivered:
    newest by the source's clock, then by delivery. Rows of equal age are copies of one another;
    their id only makes the choice repeatable. -#}
{% macro newest_version(dataset, key) %}
    SELECT *
    FROM (
        SELECT
            versions.*,
            ROW_NUMBER() OVER (
                PARTITION BY {{ key }}
                ORDER BY
                    updated_at DESC NULLS LAST,
                    _airbyte_extracted_at DESC NULLS LAST,
                    _airbyte_raw_id
            ) AS version_age
        FROM {{ dataset }} AS versions
        WHERE {{ key }} IS NOT NULL
    ) AS ranked
    WHERE version_age = 1
{% endmacro %}
