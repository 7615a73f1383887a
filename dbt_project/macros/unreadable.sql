{#-
    What could not be read, per child: from the cleansed rows' statuses to a feature's. A row whose day or value cannot be
    read may be the one that a count lacks, so that nothing found is no true zero; what was found all the same stays, at
    least so much is true. A row whose *number* cannot be read may be anybody's: above the catalogue's share of such rows
    the source's zeros are unknown for all.

    What each feature stands on is in readable_sources.sql. How a value becomes unreadable stands in values.sql and
    absence.sql; the other kinds of absence of a feature in child_features.sql.
-#}

{#-
    CTEs `unread` (one row per child and date that has anything unreadable; few have), `unread_kin` (the same over the
    children of the household, as far as consent reaches) and `unread_for_all` (one row: sources in which too many rows
    have no readable number). A row whose day is unknown may lie at the date itself, as may one that still lasts.
-#}
{% macro unread_ctes() -%}
    {#- the loops below call a variable `source` #}
    {%- set settings = source('cfg', 'source') %}
    {%- for source, day, until, by, items in readable_sources() %}
    {%- set name = source.replace('.', '__') %}
    {%- set begins = month_end('f.' ~ day) if day == 'month' else 'f.' ~ day %}
    {%- set columns = [day] + ([until] if until else []) %}
    {%- set broken = {} %}
    {%- for item, needed in items.items() %}
    {%- set reasons = [] %}
    {%- for column in [day] + ([until] if until else []) + needed %}
    {%- do reasons.append('f.' ~ column ~ "__status = 'unreadable'") %}
    {%- if column not in columns %}{% do columns.append(column) %}{% endif %}
    {%- endfor %}
    {#- more days than the month has: which of the two is the slip cannot be told #}
    {%- if source.endswith('.attendance') and needed | length == 2 %}
    {%- do reasons.append('f.' ~ needed[0] ~ ' > f.' ~ needed[1]) %}
    {%- endif %}
    {%- do broken.update({item: reasons | join(' or ')}) %}
    {%- endfor %}
    {%- set newest_counts = source in (
        'education.assessment', 'education.school_checkup', 'education.fees', 'survey.wellbeing'
    ) %}
    {%- set rows %}
                select
                    {{ 'm' if by == 'household' else 'l' }}.child_id
                    {%- for column in columns %},
                    s.{{ column }},
                    s.{{ column }}__status
                    {%- endfor %}
                from {{ ref('stg_' ~ name) }} as s
                {%- if by == 'household' %}
                inner join member as m on s.source_record_id = m.member_record_id and m.is_open_welfare
                {%- else %}
                inner join link as l on l.source = '{{ source }}' and l.source_record_id = s.source_record_id
                {%- endif %}
    {%- endset %}
    unread__{{ name }} as (
        select
            f.child_id,
            f.as_of_date
            {%- for item, needed in items.items() %},
            max(f.about) filter (where {{ broken[item] }}) as {{ unread_column(source, item) }}
            {%- if newest_counts %},
            max(f.about) filter (
                where f.{{ day }}__status = 'present'
                {%- for column in needed %} and f.{{ column }}__status = 'present'{% endfor %}
            ) as r{{ unread_column(source, item) }}
            {%- endif %}
            {%- endfor %}
        from (
            select
                f.*,
                a.as_of_date,
                {%- if until %}
                case
                    when f.{{ until }} <= a.as_of_date and f.{{ until }}__status = 'present' then f.{{ until }}
                    else a.as_of_date
                end as about
                {%- else %}
                coalesce({{ begins }}, a.as_of_date) as about
                {%- endif %}
            from ({{ rows }}
            ) as f
            inner join as_of as a on coalesce({{ begins }}, a.as_of_date) <= a.as_of_date
        ) as f
        {%- if newest_counts %}
        where f.child_id in (select f.child_id from ({{ rows }}) as f where {{ broken.values() | join(' or ') }})
        {%- else %}
        where {{ broken.values() | join(' or ') }}
        {%- endif %}
        group by f.child_id, f.as_of_date
    ),
    {%- endfor %}

    unread__resident__register as (
        select
            l.child_id,
            a.as_of_date,
            max(a.as_of_date) as {{ unread_column('resident.register', 'birth_date') }}
        from {{ ref('stg_resident__register') }} as f
        inner join link as l on l.source = 'resident.register' and l.source_record_id = f.source_record_id
        cross join as_of as a
        where f.birth_date__status = 'unreadable'
        group by l.child_id, a.as_of_date
    ),

    unread_home as (
        select
            f.child_id,
            a.as_of_date,
            max(a.as_of_date) as {{ unread_column('resident.register', 'household_number') }}
        from member as f
        inner join as_of as a
            on coalesce(f.became_resident_on, a.as_of_date) <= a.as_of_date
            and (f.left_on is null or f.left_on > a.as_of_date)
        where f.has_unreadable_age and not coalesce(f.is_closed, false)
        group by f.child_id, a.as_of_date
    ),

    unread as (
        select
            child_id,
            as_of_date
            {%- for source, day, until, by, items in readable_sources() %}{% for item in items %},
            max({{ unread_column(source, item) }}) as {{ unread_column(source, item) }}
            {%- if source in ('education.assessment', 'education.school_checkup', 'education.fees', 'survey.wellbeing') %},
            max(r{{ unread_column(source, item) }}) as r{{ unread_column(source, item) }}
            {%- endif %}
            {%- endfor %}{% endfor %},
            max({{ unread_column('resident.register', 'birth_date') }})
                as {{ unread_column('resident.register', 'birth_date') }},
            max({{ unread_column('resident.register', 'household_number') }})
                as {{ unread_column('resident.register', 'household_number') }}
        from (
            {%- for source, day, until, by, items in readable_sources() %}
            select * from unread__{{ source.replace('.', '__') }}
            union all by name
            {%- endfor %}
            select * from unread__resident__register
            union all by name
            select * from unread_home
        )
        group by child_id, as_of_date
    ),

    unread_kin as (
        select
            k.child_id,
            k.as_of_date
            {%- for source, day, until, by, items in readable_sources() %}
            {%- set domain = source.split('.')[0] %}
            {%- if domain != 'resident' %}{% for item in items %},
            max(u.{{ unread_column(source, item) }})
                filter (where k.consent_{{ domain }})
                as {{ unread_column(source, item) }}
            {%- endfor %}{% endif %}{% endfor %}
        from pair as k
        inner join unread as u on k.member_id = u.child_id and k.as_of_date = u.as_of_date
        group by k.child_id, k.as_of_date
    ),

    unread_for_all as (
        select
            {%- for source, day, until, by, items in readable_sources() %}
            {%- set name = source.replace('.', '__') %}
            {%- if source not in ('welfare.consultation', 'welfare.case', 'medical.flag') %}
            (
                select
                    count(*) filter (where f.source_record_id like '~%') > 2
                    and 100 * count(*) filter (where f.source_record_id like '~%')
                    > count(*) * (select coalesce(max(c.unknown_percent), 2) from {{ settings }} as c where c.source = '{{ source }}')
                from {{ ref('stg_' ~ name) }} as f
            ) as all__{{ name }},
            {%- endif %}
            {%- endfor %}
            true as is_told
    ),
{%- endmacro %}

{#- Whether a feature is unknown because something cannot be read: SQL over un (unread), uk (unread_kin), ua. -#}
{% macro is_unreadable(feature, source, item, applies, expression) -%}
    {%- set name = source.replace('.', '__') -%}
    {%- set months = lookback_of(feature) -%}
    {%- set of_kin = feature.startswith('household_') and source != 'resident.register' or applies == 'sibling' -%}
    {%- set known = namespace(item=false) -%}
    {%- for key, day, until, by, items in readable_sources() if key == source and item in items -%}
        {%- set known.item = true -%}
    {%- endfor -%}
    {%- if feature in ('age_years', 'grade') -%}
        un.{{ unread_column(source, 'birth_date') }} is not null and {{ expression }} is null
    {%- elif feature in ('household_adults', 'single_adult') -%}
        un.{{ unread_column(source, 'household_number') }} is not null
    {%- elif not known.item -%}
        false
    {%- else -%}
        {%- set table = 'uk' if of_kin else 'un' -%}
        {%- set column = table ~ '.' ~ unread_column(source, item) -%}
        {%- set mode = 'least' if of_kin else unreadable_matters(feature) -%}
        {%- set in_window -%}
            {%- if months == 0 -%}{{ column }} >= p.as_of_date
            {%- else -%}{{ column }} > p.as_of_date - interval {{ months }} month{%- endif -%}
        {%- endset -%}
        (
            {{ in_window }}
            {%- if mode == 'last' %}
            and (({{ expression }}) is null or {{ column }} >= coalesce(un.r{{ unread_column(source, item) }}, {{ column }}))
            {%- elif mode == 'least' %}
            and coalesce({{ expression }}, 0) = 0
            {%- endif %}
        )
        {%- if source not in ('welfare.consultation', 'welfare.case', 'medical.flag') %}
        or (ua.all__{{ name }} and coalesce({{ expression }}, 0) = 0)
        {%- endif %}
    {%- endif -%}
{%- endmacro %}
