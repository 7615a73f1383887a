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
        source._municipality,
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


{#-
    The CTEs of a source in which a number stands for one person: of the rows of one number the latest stays, but a row
    that names somebody else (another given name and another birth date: a number given to two people) is nobody's
    duplicate. It keeps its place under an id of its own, made from number and person so that it stays the same, and
    which of the two the number belongs to is for people to find out (the suite's `duplicates` tells the holder).
-#}
{% macro rows_of_one_number(updated=none) -%}
same_number as (
    select
        cleansed._extract_date,
        cleansed._source_file_sha256,
        cleansed._row_number,
        cleansed.source_record_id,
        row_number() over latest as place,
        md5(concat_ws('|', cleansed.birth_date.value, coalesce(cleansed.name__form.given, cleansed.name__form.match))) as person,
        coalesce(
            cleansed.birth_date.value <> first_value(cleansed.birth_date.value) over latest
            and coalesce(cleansed.name__form.given, cleansed.name__form.match)
            <> first_value(coalesce(cleansed.name__form.given, cleansed.name__form.match)) over latest,
            false
        ) as is_somebody_else
    from cleansed
    inner join (
        select source_record_id
        from cleansed
        group by all
        having count(*) > 1
    ) as repeated on cleansed.source_record_id = repeated.source_record_id
    window latest as (
        partition by cleansed.source_record_id
        order by
            cleansed._extract_date desc,
            {%- if updated %}
            cleansed.{{ updated }} desc nulls last,
            {%- endif %}
            cleansed._row_number desc,
            cleansed._source_file_sha256 desc
    )
),

somebody_else as (
    select
        same_number._extract_date,
        same_number._source_file_sha256,
        same_number._row_number,
        '~' || same_number.source_record_id || '-' || left(same_number.person, 8) as source_record_id
    from same_number
    where same_number.is_somebody_else
    qualify row_number() over (
        partition by same_number.source_record_id, same_number.person
        order by same_number.place
    ) = 1
),

superseded as (
    select
        same_number._extract_date,
        same_number._source_file_sha256,
        same_number._row_number
    from same_number
    anti join somebody_else
        on
            same_number._extract_date = somebody_else._extract_date
            and same_number._source_file_sha256 = somebody_else._source_file_sha256
            and same_number._row_number = somebody_else._row_number
    where same_number.place > 1
)
{%- endmacro %}


{% macro with_somebody_else() -%}
    left join somebody_else
        on
            cleansed._extract_date = somebody_else._extract_date
            and cleansed._source_file_sha256 = somebody_else._source_file_sha256
            and cleansed._row_number = somebody_else._row_number
{%- endmacro %}
