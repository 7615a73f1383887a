{#-
    From text to value. Every macro reads `current_rows` and `rules` and gives two columns: the item's value, and
    `<item>__given` (was anything there?) from which absence.sql tells the status.
-#}

{#-
    A number or code in one width, blanks inside removed. Nearly every text is plain ASCII already and never reaches
    the function.
-#}
{% macro narrowed(column) -%}
    case when regexp_full_match({{ column }}, '[!-~]*') then {{ column }} else kodomo_number({{ column }}) end
{%- endmacro %}


{% macro given(item) -%}
    current_rows.{{ item }} is not null as {{ item }}__given
{%- endmacro %}


{#- The record's number in its own system. A record without one is named by its file and row: no row is lost. -#}
{% macro record_id(item) -%}
    coalesce(
        {{ narrowed('current_rows.' ~ item) }},
        '~' || left(current_rows._source_file_sha256, 12) || '-' || current_rows._row_number
    ) as source_record_id
{%- endmacro %}


{% macro staged_id(item) -%}
    {{ narrowed('current_rows.' ~ item) }} as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{% macro staged_text(item) -%}
    current_rows.{{ item }} as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{#- Whole numbers; "3.0" is one (spreadsheets write it so), "3.5" is unreadable rather than rounded. -#}
{% macro staged_int(item) -%}
    case
        when regexp_full_match(current_rows.{{ item }}, '[0-9]{1,15}') then cast(current_rows.{{ item }} as bigint)
        else kodomo_int(current_rows.{{ item }})
    end as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{% macro staged_decimal(item) -%}
    case
        when regexp_full_match(current_rows.{{ item }}, '[0-9]{1,15}(\.[0-9]+)?')
            then cast(current_rows.{{ item }} as double)
        else kodomo_decimal(current_rows.{{ item }})
    end as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{#- The municipality's own code becomes the catalogue's; a code on neither list is unreadable. -#}
{% macro staged_code(item) -%}
    coalesce(
        rules.{{ item }}.codes[current_rows.{{ item }}],
        rules.{{ item }}.codes[{{ narrowed('current_rows.' ~ item) }}]
    ) as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{#-
    Whether a date was given. Excel's zero date, 0000-00-00 and a form's empty 年 月 日 are blanks, no unreadable dates;
    nothing without a zero or with another digit can be one.
-#}
{% macro date_given(item) -%}
    case
        when current_rows.{{ item }} is null then false
        when regexp_matches(current_rows.{{ item }}, '[1-9１-９]')
            and not regexp_matches(current_rows.{{ item }}, '1900|1899|33|１９００|１８９９|３３') then true
        else not kodomo_blank_date(current_rows.{{ item }})
    end as {{ item }}__given
{%- endmacro %}


{#- A day. A text that names only a month or a year is unreadable here: no day is invented. -#}
{% macro staged_date(item) -%}
    kodomo_date(current_rows.{{ item }}, rules.{{ item }}.date_style, rules.{{ item }}.era_codes) as {{ item }},
    {{ date_given(item) }}
{%- endmacro %}


{#- A month, as its first day. -#}
{% macro staged_month(item) -%}
    kodomo_month(current_rows.{{ item }}, rules.{{ item }}.date_style, rules.{{ item }}.era_codes) as {{ item }},
    {{ date_given(item) }}
{%- endmacro %}


{#- A day that registers may know only in part: a struct, opened by `uncertain_item`. -#}
{% macro staged_uncertain_date(item) -%}
    kodomo_uncertain_date(
        current_rows.{{ item }}, rules.{{ item }}.date_style, rules.{{ item }}.era_codes
    ) as {{ item }},
    current_rows.{{ item }} as {{ item }}__raw
{%- endmacro %}


{% macro provenance(relation) -%}
    {{ relation }}._extract_date,
    {{ relation }}._source_file_sha256,
    {{ relation }}._row_number
{%- endmacro %}
