{#- A view of the model's name over its table, in the model's space. -#}
{% macro publish_view() %}
  {%- if model.config.materialized == "table" -%}
  {%- set view = api.Relation.create(
      database=config.get('database'), schema='no_schema', identifier=model.name, type='view'
  ) -%}
  create or replace view {{ view }} as select * from {{ this }}
  {%- endif -%}
{% endmacro %}
