{#- Schemas are named exactly as configured: staging, linkage, marts. dbt's default would prefix the target's. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
