{#-
    What a contract is for SQL models, for Python models: the built table has the columns and types of its yml, in its
    order. One row per difference.
-#}
{% test columns_as_declared(model) %}
{%- set declared = [] -%}
{%- set built = [] -%}
{%- if execute -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model.identifier -%}
        {%- for column in node.columns.values() -%}
            {%- do declared.append(column.name ~ ' ' ~ column.data_type | lower) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for column in adapter.get_columns_in_relation(model) -%}
        {%- do built.append(column.name ~ ' ' ~ column.dtype | lower) -%}
    {%- endfor -%}
{%- endif %}
select
    '{{ declared | join(", ") }}' as declared,
    '{{ built | join(", ") }}' as built
where '{{ declared | join(", ") }}' <> '{{ built | join(", ") }}'
{% endtest %}
