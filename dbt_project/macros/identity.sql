{#-
    The identity columns, the same in every identity staging model; NULL where the source lacks the item.
    `identity_forms` calls the cleansing functions once per text, `identity_columns` opens what they give.
-#}

{% macro identity_forms(items) -%}
    {%- for function, item in [
        ('name', 'name'), ('kana', 'name_kana'), ('name', 'alias_name'), ('name', 'former_surname'),
        ('name', 'guardian_name'), ('address', 'address'),
    ] %}
    {%- if item in items %}
    current_rows.{{ item }},
    {%- if function == 'address' %}
    -- a bare town is first one of the own municipality
    kodomo_address_in(current_rows.{{ item }}, current_rows._municipality) as {{ item }}__form,
    {%- else %}
    kodomo_{{ function }}(current_rows.{{ item }}) as {{ item }}__form,
    {%- endif %}
    {%- else %}
    cast(null as varchar) as {{ item }},
    kodomo_{{ function }}(cast(null as varchar)) as {{ item }}__form,
    {%- endif %}
    {%- endfor %}
    {%- for item in ['resident_number', 'household_number'] %}
    {% if item in items %}{{ narrowed('current_rows.' ~ item) }}{% else %}cast(null as varchar){% endif %} as {{ item }},
    {%- endfor %}
    {% if 'guardian_phone' in items -%}
    current_rows.guardian_phone,
    kodomo_phone(current_rows.guardian_phone) as phone_match,
    {%- else -%}
    cast(null as varchar) as guardian_phone,
    cast(null as varchar) as phone_match,
    {%- endif %}
    {% if 'postal_code' in items -%}
    kodomo_postal(current_rows.postal_code) as postal_code,
    {%- else -%}
    cast(null as varchar) as postal_code,
    {%- endif %}
    {{ staged_code('sex') }},
    {{ staged_uncertain_date('birth_date') }}
{%- endmacro %}


{% macro identity_columns() -%}
    cleansed.name,
    cleansed.name__form.match as name_match,
    cleansed.name__form.surname as surname_match,
    cleansed.name__form.given as given_match,
    cleansed.name_kana,
    cleansed.name_kana__form.match as kana_match,
    cleansed.name_kana__form.surname as surname_kana_match,
    cleansed.name_kana__form.given as given_kana_match,
    cleansed.alias_name,
    cleansed.alias_name__form.match as alias_match,
    cleansed.former_surname,
    cleansed.former_surname__form.match as former_surname_match,
    cleansed.name__form.has_gaiji as name_has_gaiji,
    {{ item('sex') }},
    {{ uncertain_item('birth_date') }},
    cleansed.resident_number,
    kodomo_check_digit(cleansed.resident_number) as resident_number_check,
    cleansed.household_number,
    cleansed.postal_code,
    cleansed.address,
    cleansed.address__form.match as address_match,
    cleansed.address__form.town as address_town,
    cleansed.address__form.block as address_block,
    cleansed.address__form.building as address_building,
    cleansed.address__form.room as address_room,
    cleansed.guardian_phone,
    cleansed.phone_match,
    cleansed.guardian_name,
    cleansed.guardian_name__form.match as guardian_match,
    cast(null as varchar) as guardian_kana_match
{%- endmacro %}
