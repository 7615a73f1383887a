-- Every record that names a person, one row per record number, in one shape: the latest row counts.
{%- set columns = [
    'resident_number', 'household_number', 'name_match', 'surname_match', 'given_match',
    'kana_match', 'surname_kana_match', 'given_kana_match', 'alias_match', 'former_surname_match', 'name_has_gaiji',
    'sex', 'birth_date', 'birth_date__precision', 'birth_date__earliest', 'birth_date__latest',
    'postal_code', 'address_match', 'address_town', 'address_block', 'address_building', 'address_room',
    'phone_match', 'guardian_match', 'guardian_kana_match'
] -%}
{%- set staged = [
    ('resident.register', ref('stg_resident__register')),
    ('education.enrolment', ref('stg_education__enrolment')),
    ('childcare.enrolment', ref('stg_childcare__enrolment')),
    ('welfare.consultation', ref('stg_welfare__consultation')),
    ('welfare.case', ref('stg_welfare__case')),
    ('medical.flag', ref('stg_medical__flag'))
] %}
with
{% for source, model in staged %}
    {{ source | replace('.', '_') }} as (
        select
            '{{ source }}' as source,
            staged.source_record_id,
            {%- for column in columns %}
                staged.{{ column }},
            {%- endfor %}
            {%- if source == 'resident.register' %}
                staged.relationship,
                staged.became_resident_on,
                staged.left_on,
            {%- else %}
                cast(null as varchar) as relationship,
                cast(null as date) as became_resident_on,
                cast(null as date) as left_on,
            {%- endif %}
            staged._extract_date,
            staged._source_file_sha256,
            staged._row_number
        from {{ model }} as staged
        where staged.source_record_id is not null
        qualify
            row_number() over (
                partition by staged.source_record_id
                order by staged._extract_date desc, staged._row_number desc, staged._source_file_sha256 asc
            ) = 1
    ),
{% endfor %}
gathered as (
    {%- for source, model in staged %}
        select
            {{ source | replace('.', '_') }}.source,
            {{ source | replace('.', '_') }}.source_record_id,
            {%- for column in columns %}
                {{ source | replace('.', '_') }}.{{ column }},
            {%- endfor %}
            {{ source | replace('.', '_') }}.relationship,
            {{ source | replace('.', '_') }}.became_resident_on,
            {{ source | replace('.', '_') }}.left_on,
            {{ source | replace('.', '_') }}._extract_date,
            {{ source | replace('.', '_') }}._source_file_sha256,
            {{ source | replace('.', '_') }}._row_number
        from {{ source | replace('.', '_') }}
        {% if not loop.last %}union all{% endif %}
    {%- endfor %}
)

-- Where consent is the ground (opt_in), a child without it never comes to be compared: neither the register's record
-- nor one that bears the number. A record without a number may be anybody's: it may only meet a child who is open
-- (kodomo_platform.linkage.consent). Adults of the register stand for households, not for themselves.
select gathered.*
from gathered
cross join {{ source('cfg', 'consent') }} as rule
cross join {{ source('cfg', 'run') }} as run
left join {{ ref('lnk_consent') }} as lnk_consent
    on
        lnk_consent.source_record_id = case
            when gathered.source = 'resident.register' then gathered.source_record_id else gathered.resident_number
        end
where
    rule.rule <> 'opt_in'
    or (gathered.source <> 'resident.register' and coalesce(gathered.resident_number, '') = '')
    or (
        gathered.source = 'resident.register'
        and (
            coalesce(gathered.birth_date__latest, gathered.birth_date) <= run.as_of_date - interval 20 year
            or (
                gathered.birth_date is null
                and gathered.birth_date__latest is null
                and gathered.relationship in ('head', 'spouse', 'parent')
            )
        )
    )
    or list_contains(coalesce(lnk_consent.open_domains, rule.open_without), split_part(gathered.source, '.', 1))
    or len(
        list_filter(
            lnk_consent.open_items,
            lambda each_item: starts_with(each_item, split_part(gathered.source, '.', 1) || '.')
        )
    ) > 0
