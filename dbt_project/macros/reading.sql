{#-
    How raw text is read: the rules of a source's items, the rows that are current, one row per natural key.
    How a text becomes a value stands in values.sql; how absence is told apart in absence.sql.
-#}

{#- Trim half- and full-width blanks: a cell of one full-width space is empty. -#}
{% macro trimmed(column) -%}
    trim({{ column }}, ' 　' || chr(9) || chr(160))
{%- endmacro %}


{#-
    One row: a struct per item of `source_key` with what the municipality's file says of it
    (held, system_start, date_style, era_codes, blank_means, null_tokens, codes), and the source's as_of_date and
    extract_kind. Joined once per model, so that no row looks anything up.
-#}
{% macro item_rules(source_key, items) -%}
    select
        max(as_of_date) as as_of_date,
        max(extract_kind) as extract_kind,
        max(system_start) as system_start,
        {%- for item in items %}
        any_value(rule) filter (where item = '{{ item }}') as {{ item }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('cleansing_rules') }}
    where source = '{{ source_key }}'
{%- endmacro %}


{#-
    The rows that count as of the day: of a full extract those of the latest extract, of a delta all. Texts are trimmed;
    empty ones and the municipality's null tokens are null. Reads the CTEs `source` and `rules`.
-#}
{% macro current_rows(items) -%}
    select
        {%- for item in items %}
        case
            when not list_contains(rules.{{ item }}.null_tokens, {{ trimmed('source.' ~ item) }})
                then nullif({{ trimmed('source.' ~ item) }}, '')
        end as {{ item }},
        {%- endfor %}
        source._extract_date,
        source._source_file_sha256,
        source._row_number
    from source
    cross join rules
    where
        source._extract_date <= rules.as_of_date
        and (
            rules.extract_kind = 'delta'
            or source._extract_date = (
                select max(dated._extract_date)
                from source as dated
                cross join rules as dated_rules
                where dated._extract_date <= dated_rules.as_of_date
            )
        )
{%- endmacro %}


{#-
    Rows of `cleansed` that another row of the same natural key replaces: it is of a later extract, or of a later
    `updated` day where the source has one, or stands further down. A row whose key cannot be read is nobody's
    duplicate. Only keys that occur twice are sorted: they are few.
-#}
{% macro superseded_rows(keys, updated=none) -%}
    select
        cleansed._extract_date,
        cleansed._source_file_sha256,
        cleansed._row_number
    from cleansed
    inner join (
        select
            {%- for key in keys %}
            {{ key }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        from cleansed
        group by all
        having count(*) > 1
    ) as repeated
        on
            {%- for key in keys %}
            {% if not loop.first %}and {% endif %}cleansed.{{ key }} = repeated.{{ key }}
            {%- endfor %}
    qualify row_number() over (
        partition by {% for key in keys %}cleansed.{{ key }}{% if not loop.last %}, {% endif %}{% endfor %}
        order by
            cleansed._extract_date desc,
            {%- if updated %}
            cleansed.{{ updated }} desc nulls last,
            {%- endif %}
            cleansed._row_number desc,
            cleansed._source_file_sha256 desc
    ) > 1
{%- endmacro %}


{% macro not_superseded() -%}
    anti join superseded
        on
            cleansed._extract_date = superseded._extract_date
            and cleansed._source_file_sha256 = superseded._source_file_sha256
            and cleansed._row_number = superseded._row_number
{%- endmacro %}
