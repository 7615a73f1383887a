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


{#-
    A number that still is one. What a spreadsheet made of it (2.026E+11, #REF!, ="12) is nobody's number, and everybody's:
    as many records as the file has would share it.
-#}
{% macro readable_number(text) -%}
    case
        when regexp_matches({{ text }}, '[0-9]')
            and not regexp_matches({{ text }}, '[#="<>?�]')
            and not regexp_full_match({{ text }}, '[+-]?[0-9]+([.,][0-9]+[eE][+-]?|[eE][+])[0-9]+')
            then {{ text }}
    end
{%- endmacro %}


{#-
    The record's number in its own system. A record without one, or with one that cannot be read, is named by its file and
    row: no row is lost, and none is somebody else's.
-#}
{% macro record_id(item) -%}
    coalesce(
        {{ readable_number(narrowed('current_rows.' ~ item)) }},
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


{#-
    A value outside the catalogue's bounds (a mark of -5, a day in 2062) is none: something was there that cannot be meant.
    `value` is written twice and computed once (the functions are free of side effects).
-#}
{% macro within_bounds(item, value) -%}
    case
        when coalesce(({{ value }}) >= rules.{{ item }}.minimum, true)
            and coalesce(({{ value }}) <= rules.{{ item }}.maximum, true)
            then {{ value }}
    end
{%- endmacro %}


{#- The same for a day or a month: not long before anybody in the source was born, not far after the extract. -#}
{% macro possible_day(item, value) -%}
    case
        when ({{ value }}) >= current_rows._extract_date - to_years(coalesce(rules.{{ item }}.years_back, 126))
            and ({{ value }}) <= current_rows._extract_date + to_days(coalesce(rules.{{ item }}.days_ahead, 7320))
            then {{ value }}
    end
{%- endmacro %}


{#- Whole numbers; "3.0" is one (spreadsheets write it so), "3.5" is unreadable rather than rounded. -#}
{% macro staged_int(item) -%}
    {%- set read -%}
    case
        when regexp_full_match(current_rows.{{ item }}, '[0-9]{1,15}') then cast(current_rows.{{ item }} as bigint)
        else kodomo_int(current_rows.{{ item }})
    end
    {%- endset -%}
    {{ within_bounds(item, read) }} as {{ item }},
    {{ given(item) }}
{%- endmacro %}


{% macro staged_decimal(item) -%}
    {%- set read -%}
    case
        when regexp_full_match(current_rows.{{ item }}, '[0-9]{1,15}(\.[0-9]+)?')
            then cast(current_rows.{{ item }} as double)
        else kodomo_decimal(current_rows.{{ item }})
    end
    {%- endset -%}
    {{ within_bounds(item, read) }} as {{ item }},
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
    {{
        possible_day(
            item,
            'kodomo_date(current_rows.' ~ item ~ ', rules.' ~ item ~ '.date_style, rules.' ~ item ~ '.era_codes)'
        )
    }} as {{ item }},
    {{ date_given(item) }}
{%- endmacro %}


{#- A month, as its first day. -#}
{% macro staged_month(item) -%}
    {{
        possible_day(
            item,
            'kodomo_month(current_rows.' ~ item ~ ', rules.' ~ item ~ '.date_style, rules.' ~ item ~ '.era_codes)'
        )
    }} as {{ item }},
    {{ date_given(item) }}
{%- endmacro %}


{#- A day that registers may know only in part: a struct, opened by `uncertain_item`. -#}
{% macro staged_uncertain_date(item) -%}
    {%- set read -%}
    kodomo_uncertain_date(
        current_rows.{{ item }}, rules.{{ item }}.date_style, rules.{{ item }}.era_codes
    )
    {%- endset -%}
    {#- a day that nobody alive can have, or that is yet to come, bounds nothing; the text stays -#}
    case
        when ({{ read }}).latest < current_rows._extract_date - to_years(coalesce(rules.{{ item }}.years_back, 126))
            or ({{ read }}).earliest > current_rows._extract_date + to_days(coalesce(rules.{{ item }}.days_ahead, 7320))
            then kodomo_uncertain_date('?', rules.{{ item }}.date_style, rules.{{ item }}.era_codes)
        else {{ read }}
    end as {{ item }},
    current_rows.{{ item }} as {{ item }}__raw
{%- endmacro %}


{% macro provenance(relation) -%}
    {{ relation }}._extract_date,
    {{ relation }}._source_file_sha256,
    {{ relation }}._row_number
{%- endmacro %}
