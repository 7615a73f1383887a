{#-
    Kinds of absence, kept apart (house rule 4). In this order:
    not_held        the municipality's extract has no such item
    before_start    the event lies before the source system began and nothing, or a zero, is there: it says nothing.
                    Another value was evidently carried over from the older system and stays
    blank / not_applicable   nothing was there; which of the two, the catalogue says of the item
    unreadable      something was there that cannot be read
    present         a true value, zero included
    `not_linked` is added where records meet children, in the marts.
-#}

{#- A month that began earlier but ended in the system's time counts as within it. -#}
{% macro is_before_start(event_on) -%}
    coalesce(last_day(cleansed.{{ event_on }}) < rules.system_start, false)
{%- endmacro %}


{% macro item_status(item, missing, given, silent_before_start=none) -%}
    case
        when not rules.{{ item }}.held then 'not_held'
        {%- if silent_before_start %}
        when {{ silent_before_start }} then 'before_start'
        {%- endif %}
        when not ({{ given }}) then rules.{{ item }}.blank_means
        when {{ missing }} then 'unreadable'
        else 'present'
    end as {{ item }}__status
{%- endmacro %}


{#- An item and its status. `event_on` is the day or month that the row is about, where it is about one. -#}
{% macro item(item, event_on=none) -%}
    cleansed.{{ item }},
    {{
        item_status(
            item,
            'cleansed.' ~ item ~ ' is null',
            'cleansed.' ~ item ~ '__given',
            'not cleansed.' ~ item ~ '__given and ' ~ is_before_start(event_on) if event_on else none
        )
    }}
{%- endmacro %}


{#- A number and its status: a zero from before the system began is no true zero. -#}
{% macro measure(item, event_on) -%}
    case
        when cleansed.{{ item }} <> 0 or not {{ is_before_start(event_on) }} then cleansed.{{ item }}
    end as {{ item }},
    {{
        item_status(
            item,
            'cleansed.' ~ item ~ ' is null',
            'cleansed.' ~ item ~ '__given',
            '(not cleansed.' ~ item ~ '__given or cleansed.' ~ item ~ ' = 0) and ' ~ is_before_start(event_on)
        )
    }}
{%- endmacro %}


{#-
    An uncertain day: value (only if the day is known), status, raw text, precision, earliest, latest.
    `present` here means that the text bounds the day; 不詳 bounds nothing and is blank, not unreadable, and so is a zero.
-#}
{% macro uncertain_item(item) -%}
    cleansed.{{ item }}.value as {{ item }},
    {{
        item_status(
            item,
            'cleansed.' ~ item ~ '.earliest is null',
            'cleansed.' ~ item ~ "__raw is not null and cleansed." ~ item ~ ".note is distinct from 'unknown' and cleansed." ~ item ~ ".note is distinct from 'blank'"
        )
    }},
    cleansed.{{ item }}__raw,
    coalesce(cleansed.{{ item }}.precision, 'unknown') as {{ item }}__precision,
    cleansed.{{ item }}.earliest as {{ item }}__earliest,
    cleansed.{{ item }}.latest as {{ item }}__latest
{%- endmacro %}
