{#
  Features of children as of the dates in cfg.as_of: one macro for scoring and for training, so that a model can never
  be trained on something that scoring computes differently.

  Point in time: an event counts from its own date on, a month only when it has ended, an end date only once it has
  passed. Presence "ever" is nowhere a feature: each has a look-back window (kodomo_platform/scoring/features.yaml).

  What does not belong here: criteria, weights, labels (mart_outcome) and anything about the model.
#}

{% macro month_start(column) -%}
    try_cast(left(cast({{ column }} as varchar), 7) || '-01' as date)
{%- endmacro %}

{% macro month_end(column) -%}
    last_day({{ month_start(column) }})
{%- endmacro %}

{#- Rows of one staging model with their child; `columns` are the items that the aggregation needs. Of a child who
    consented item by item the others stay closed, here where every sum begins: its own, a sibling's, the household's. -#}
{% macro child_facts(source, columns) -%}
    {%- set dates = ['month', 'event_on', 'visited_on', 'assessed_on', 'checked_on', 'counselled_on', 'certified_on',
        'ended_on', 'answered_on', 'started_on', 'consulted_on', 'opened_on', 'closed_on', 'notified_on', 'due_on',
        'vaccinated_on', 'flagged_on', 'school_days', 'open_days'] -%}
    select
        l.child_id
        {%- for column in columns.split(',') %}
        {%- set name = column.strip().replace('f.', '') %}
        {%- if name in dates %},
        f.{{ name }}
        {%- else %},
        case when l.is_whole or list_contains(l.open_items, '{{ source }}.{{ name }}') then f.{{ name }} end as {{ name }}
        {%- endif %}
        {%- endfor %}
    from {{ ref('stg_' ~ source.replace('.', '__')) }} as f
    inner join link as l on l.source = '{{ source }}' and l.source_record_id = f.source_record_id
{%- endmacro %}

{#- The look-back condition: `column` lies in (as_of - months, as_of]. -#}
{% macro within(column, months) -%}
    {{ column }} > a.as_of_date - interval {{ months }} month and {{ column }} <= a.as_of_date
{%- endmacro %}

{#- Days of a month that has at most `total` of them. More is a slip of the source (quality names the row): the month then
    says nothing, rather than a rate above one. -#}
{% macro days_of(days, total) -%}
    case when {{ days }} < 0 or {{ days }} > {{ total }} then null else {{ days }} end as {{ days }}
{%- endmacro %}

{#- Not over yet at the date. A day that cannot be read is no missing day: nothing is said of such a row. -#}
{% macro goes_on(until) -%}
    ({{ until }} > a.as_of_date or ({{ until }} is null and {{ until }}__status is distinct from 'unreadable'))
{%- endmacro %}

{% macro severity_level(column) -%}
    case {{ column }} when 'low' then 1 when 'middle' then 2 when 'high' then 3 when 'critical' then 4 end
{%- endmacro %}

{#- Why a source says nothing about a child at a date; null: it speaks. -#}
{% macro source_absence(feature, source, item, link, applies, expression) -%}
    {%- set name = source.replace('.', '__') -%}
    {%- set domain = source.split('.')[0] -%}
    case
        when not s.held__{{ name }} or s.lacks__{{ name }}__{{ item }} then 'not_held'
        when s.begins__{{ name }} > p.as_of_date then 'before_start'
        {%- if applies == 'school' %}
        when not p.is_school_age then 'not_applicable'
        {%- elif applies == 'preschool' %}
        when not p.is_preschool_age then 'not_applicable'
        {%- elif applies in ('sibling', 'siblings') %}
        {#- a child of the household whom consent leaves out: how many there are, or what is known of them, cannot be said #}
        when coalesce(mem.has_closed_sibling, false) then 'no_consent'
        {%- endif %}
        {%- if applies == 'sibling' %}
        when coalesce(sib.siblings_count, 0) = 0 then 'not_applicable'
        {%- elif applies == 'seen' %}
        {#- nobody could have seen the child: that says nothing of the child, and something of what is held #}
        when not p.could_be_seen then 'not_held'
        {%- elif applies == 'consulted' %}
        when con.consultation_months_since is null then 'not_applicable'
        {%- endif %}
        {%- if domain not in ('resident',) %}
        when not (p.consent_{{ domain }} or list_contains(p.open_items, '{{ source }}.{{ item }}')) then 'no_consent'
        {%- endif %}
        {%- if link == 'childcare' %}
        when not p.has_childcare then 'not_applicable'
        {%- elif link != 'none' and applies != 'sibling' %}
        when not p.has_{{ link }} then 'not_linked'
        {%- endif %}
        when {{ is_unreadable(feature, source, item, applies, expression) }} then 'unreadable'
        {%- if applies == 'told' %}
        when {{ expression }} is null then 'not_applicable'
        {%- endif %}
    end
{%- endmacro %}

{% macro child_features(purpose) %}
    {#-
      (feature, source, item whose absence makes the feature impossible, link needed, children it applies to, expression).
      The link is an id system's register row (resident, school, childcare) or none: where a source carries its own identity
      (consultations, cases, hospital flags), no row means that nothing happened. 'told': whoever has no such record at all
      (no child of the household at school, no check-up due within the window) is one to whom the feature does not apply.
    -#}
    {%- set features = [
        ('age_years', 'resident.register', 'birth_date', 'none', 'any', 'p.age_years'),
        ('grade', 'resident.register', 'birth_date', 'none', 'school', 'p.grade'),
        ('siblings_count', 'resident.register', 'household_number', 'resident', 'siblings', 'coalesce(sib.siblings_count, 0)'),
        ('household_adults', 'resident.register', 'household_number', 'resident', 'any', 'mem.household_adults'),
        ('single_adult', 'resident.register', 'household_number', 'resident', 'any', 'case when mem.household_adults = 1 then 1 when mem.household_adults > 1 then 0 end'),
        ('moves_24m', 'resident.moves', 'event_on', 'resident', 'any', 'coalesce(mov.moves_24m, 0)'),
        ('name_changes_24m', 'resident.moves', 'event', 'resident', 'any', 'coalesce(mov.name_changes_24m, 0)'),
        ('days_since_seen', 'resident.register', 'birth_date', 'none', 'seen', 'seen.days_since_seen'),
        ('absent_rate_1m', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_rate_1m'),
        ('absent_rate_3m', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_rate_3m'),
        ('absent_rate_12m', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_rate_12m'),
        ('absent_rate_24m', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_rate_24m'),
        ('absent_days_1m', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_days_1m'),
        ('absent_days_ytd', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_days_ytd'),
        ('absent_trend', 'education.attendance', 'absent_days', 'school', 'school', 'att.absent_rate_3m - att.absent_rate_before'),
        ('late_rate_3m', 'education.attendance', 'late_days', 'school', 'school', 'att.late_rate_3m'),
        ('late_rate_12m', 'education.attendance', 'late_days', 'school', 'school', 'att.late_rate_12m'),
        ('late_rate_24m', 'education.attendance', 'late_days', 'school', 'school', 'att.late_rate_24m'),
        ('late_trend', 'education.attendance', 'late_days', 'school', 'school', 'att.late_rate_3m - att.late_rate_24m'),
        ('household_late_rate_24m', 'education.attendance', 'late_days', 'none', 'told', 'kin.household_late_rate_24m'),
        ('early_leave_rate_3m', 'education.attendance', 'early_leave_days', 'school', 'school', 'att.early_leave_rate_3m'),
        ('early_leave_rate_12m', 'education.attendance', 'early_leave_days', 'school', 'school', 'att.early_leave_rate_12m'),
        ('sibling_absent_rate_3m', 'education.attendance', 'absent_days', 'school', 'sibling', 'sib_att.sibling_absent_rate_3m'),
        ('health_room_3m', 'education.health_room', 'visited_on', 'school', 'school', 'coalesce(hr.health_room_3m, 0)'),
        ('health_room_12m', 'education.health_room', 'visited_on', 'school', 'school', 'coalesce(hr.health_room_12m, 0)'),
        ('health_room_mental_12m', 'education.health_room', 'reason', 'school', 'school', 'coalesce(hr.health_room_mental_12m, 0)'),
        ('health_room_hygiene_12m', 'education.health_room', 'reason', 'school', 'school', 'coalesce(hr.health_room_hygiene_12m, 0)'),
        ('assessment_last', 'education.assessment', 'japanese_score', 'school', 'school', 'ass.assessment_last'),
        ('assessment_change', 'education.assessment', 'japanese_score', 'school', 'school', 'ass.assessment_last - ass.assessment_before'),
        ('cavities_last', 'education.school_checkup', 'untreated_cavities', 'school', 'school', 'chk.cavities_last'),
        ('household_cavities_36m', 'education.school_checkup', 'untreated_cavities', 'none', 'told', 'kin.household_cavities_36m'),
        ('school_finding_last', 'education.school_checkup', 'finding', 'school', 'school', 'chk.school_finding_last'),
        ('bmi_last', 'education.school_checkup', 'weight_kg', 'school', 'school', 'chk.bmi_last'),
        ('counselling_12m', 'education.counselling', 'counselled_on', 'school', 'school', 'coalesce(cou.counselling_12m, 0)'),
        ('counselling_severity_12m', 'education.counselling', 'severity', 'school', 'school', 'coalesce(cou.counselling_severity_12m, 0)'),
        ('counselling_family_12m', 'education.counselling', 'topic', 'school', 'school', 'coalesce(cou.counselling_family_12m, 0)'),
        ('counselling_truancy_12m', 'education.counselling', 'topic', 'school', 'school', 'coalesce(cou.counselling_truancy_12m, 0)'),
        ('counselling_mind_12m', 'education.counselling', 'topic', 'school', 'school', 'coalesce(cou.counselling_mind_12m, 0)'),
        ('fees_unpaid_months', 'education.fees', 'unpaid_months', 'school', 'school', 'coalesce(fee.fees_unpaid_months, 0)'),
        ('fees_unpaid_yen_12m', 'education.fees', 'unpaid_yen', 'school', 'school', 'coalesce(fee.fees_unpaid_yen_12m, 0)'),
        ('household_fees_unpaid_24m', 'education.fees', 'unpaid_yen', 'none', 'told', 'kin.household_fees_unpaid_24m'),
        ('school_aid', 'education.school_aid', 'category', 'school', 'school', 'coalesce(aid.school_aid, 0)'),
        ('household_school_aid_36m', 'education.school_aid', 'category', 'none', 'told', 'kin.household_school_aid_36m'),
        ('childcare_absent_rate_3m', 'childcare.attendance', 'absent_days', 'childcare', 'preschool', 'cca.childcare_absent_rate_3m'),
        ('childcare_late_pickup_3m', 'childcare.attendance', 'late_pickup_days', 'childcare', 'preschool', 'cca.childcare_late_pickup_3m'),
        ('childcare_unpaid_yen_12m', 'childcare.attendance', 'unpaid_yen', 'childcare', 'preschool', 'cca.childcare_unpaid_yen_12m'),
        ('household_late_pickup_24m', 'childcare.attendance', 'late_pickup_days', 'none', 'told', 'kin.household_late_pickup_24m'),
        ('household_childcare_unpaid_24m', 'childcare.attendance', 'unpaid_yen', 'none', 'told', 'kin.household_childcare_unpaid_24m'),
        ('single_parent', 'welfare.child_benefit', 'benefit', 'resident', 'any', 'coalesce(ben.single_parent, 0)'),
        ('public_assistance', 'welfare.public_assistance', 'started_on', 'resident', 'any', 'coalesce(pa.public_assistance, 0)'),
        ('disability_self', 'welfare.disability', 'certificate', 'resident', 'any', 'coalesce(dis.disability_self, 0)'),
        ('disability_household', 'welfare.disability', 'certificate', 'resident', 'any', 'coalesce(dis.disability_household, 0)'),
        ('consultations_12m', 'welfare.consultation', 'consulted_on', 'none', 'any', 'coalesce(con.consultations_12m, 0)'),
        ('consultations_3m', 'welfare.consultation', 'consulted_on', 'none', 'any', 'coalesce(con.consultations_3m, 0)'),
        ('consultation_severity_24m', 'welfare.consultation', 'severity', 'none', 'any', 'coalesce(con.consultation_severity_24m, 0)'),
        ('consultation_abuse_24m', 'welfare.consultation', 'topic', 'none', 'any', 'coalesce(con.consultation_abuse_24m, 0)'),
        ('consultation_poverty_36m', 'welfare.consultation', 'topic', 'none', 'any', 'coalesce(con.consultation_poverty_36m, 0)'),
        ('consultation_months_since', 'welfare.consultation', 'consulted_on', 'none', 'consulted', 'con.consultation_months_since'),
        ('sibling_consultations_24m', 'welfare.consultation', 'consulted_on', 'none', 'sibling', 'coalesce(sib_con.sibling_consultations_24m, 0)'),
        ('household_consultations_36m', 'welfare.consultation', 'consulted_on', 'none', 'any', 'coalesce(kin.household_consultations_36m, 0)'),
        ('case_closed_24m', 'welfare.case', 'closed_on', 'none', 'any', 'coalesce(cas.case_closed_24m, 0)'),
        ('case_severity_24m', 'welfare.case', 'severity', 'none', 'any', 'coalesce(cas.case_severity_24m, 0)'),
        ('sibling_cases_24m', 'welfare.case', 'opened_on', 'none', 'sibling', 'coalesce(sib_cas.sibling_cases_24m, 0)'),
        ('sibling_cases_60m', 'welfare.case', 'opened_on', 'none', 'sibling', 'coalesce(kin.sibling_cases_60m, 0)'),
        ('pregnancy_concern', 'health.pregnancy', 'concern', 'resident', 'preschool', 'pre.pregnancy_concern'),
        ('household_pregnancy_concern_84m', 'health.pregnancy', 'concern', 'none', 'told', 'kin.household_pregnancy_concern_84m'),
        ('pregnancy_weeks', 'health.pregnancy', 'gestational_weeks', 'resident', 'preschool', 'pre.pregnancy_weeks'),
        ('infant_checkups_missed_36m', 'health.infant_checkup', 'checked_on', 'resident', 'preschool', 'inf.infant_checkups_missed_36m'),
        ('infant_findings_36m', 'health.infant_checkup', 'result', 'resident', 'preschool', 'inf.infant_findings_36m'),
        ('infant_cavities_36m', 'health.infant_checkup', 'untreated_cavities', 'resident', 'preschool', 'inf.infant_cavities_36m'),
        ('parenting_difficulty_36m', 'health.infant_checkup', 'parenting_difficulty', 'resident', 'preschool', 'inf.parenting_difficulty_36m'),
        ('infant_checkups_missed_60m', 'health.infant_checkup', 'checked_on', 'resident', 'told', 'inf.infant_checkups_missed_60m'),
        ('infant_findings_60m', 'health.infant_checkup', 'result', 'resident', 'told', 'inf.infant_findings_60m'),
        ('parenting_difficulty_60m', 'health.infant_checkup', 'parenting_difficulty', 'resident', 'told', 'inf.parenting_difficulty_60m'),
        ('household_infant_missed_60m', 'health.infant_checkup', 'checked_on', 'none', 'told', 'kin.household_infant_missed_60m'),
        ('household_infant_findings_60m', 'health.infant_checkup', 'result', 'none', 'told', 'kin.household_infant_findings_60m'),
        ('household_parenting_difficulty_60m', 'health.infant_checkup', 'parenting_difficulty', 'none', 'told', 'kin.household_parenting_difficulty_60m'),
        ('vaccinations_24m', 'health.vaccination', 'vaccinated_on', 'resident', 'preschool', 'coalesce(vac.vaccinations_24m, 0)'),
        ('vaccinations_missing_60m', 'health.vaccination', 'vaccinated_on', 'resident', 'told', 'vac.vaccinations_missing_60m'),
        ('home_visits_24m', 'health.home_visit', 'visited_on', 'resident', 'preschool', 'coalesce(hv.home_visits_24m, 0)'),
        ('home_visit_finding_24m', 'health.home_visit', 'finding', 'resident', 'preschool', 'coalesce(hv.home_visit_finding_24m, 0)'),
        ('home_visits_follow_up_12m', 'health.home_visit', 'purpose', 'resident', 'preschool', 'coalesce(hv.home_visits_follow_up_12m, 0)'),
        ('household_home_visit_finding_36m', 'health.home_visit', 'finding', 'none', 'any', 'coalesce(kin.household_home_visit_finding_36m, 0)'),
        ('hospital_flags_12m', 'medical.flag', 'flagged_on', 'none', 'any', 'coalesce(med.hospital_flags_12m, 0)'),
        ('hospital_flag_severity_12m', 'medical.flag', 'severity', 'none', 'any', 'coalesce(med.hospital_flag_severity_12m, 0)'),
        ('hospital_flag_days_since', 'medical.flag', 'flagged_on', 'none', 'told', 'med.hospital_flag_days_since'),
        ('hospital_flags_3m', 'medical.flag', 'flagged_on', 'none', 'any', 'coalesce(med.hospital_flags_3m, 0)'),
        ('hospital_flag_harm_24m', 'medical.flag', 'flag', 'none', 'any', 'coalesce(med.hospital_flag_harm_24m, 0)'),
        ('household_hospital_flags_24m', 'medical.flag', 'flagged_on', 'none', 'any', 'coalesce(kin.household_hospital_flags_24m, 0)'),
        ('survey_mood', 'survey.wellbeing', 'mood', 'school', 'school', 'sur.survey_mood'),
        ('survey_sleep', 'survey.wellbeing', 'sleep', 'school', 'school', 'sur.survey_sleep'),
        ('survey_friends', 'survey.wellbeing', 'friends', 'school', 'school', 'sur.survey_friends'),
        ('survey_home', 'survey.wellbeing', 'home', 'school', 'school', 'sur.survey_home'),
        ('survey_care_hours', 'survey.wellbeing', 'care_hours', 'school', 'school', 'sur.survey_care_hours'),
        ('survey_no_adult', 'survey.wellbeing', 'adult_to_talk', 'school', 'school', 'sur.survey_no_adult'),
        ('survey_mood_change', 'survey.wellbeing', 'mood', 'school', 'school', 'sur.survey_mood - sur.survey_mood_before'),
        ('survey_mood_12m', 'survey.wellbeing', 'mood', 'school', 'school', 'sur.survey_mood_12m'),
        ('survey_sleep_12m', 'survey.wellbeing', 'sleep', 'school', 'school', 'sur.survey_sleep_12m'),
        ('survey_friends_12m', 'survey.wellbeing', 'friends', 'school', 'school', 'sur.survey_friends_12m'),
        ('survey_no_adult_12m', 'survey.wellbeing', 'adult_to_talk', 'school', 'school', 'sur.survey_no_adult_12m'),
        ('household_survey_home_12m', 'survey.wellbeing', 'home', 'none', 'told', 'kin.household_survey_home_12m'),
        ('household_care_hours_12m', 'survey.wellbeing', 'care_hours', 'none', 'told', 'kin.household_care_hours_12m'),
    ] -%}
    with as_of as (
        select distinct as_of_date from {{ source('cfg', 'as_of') }} where purpose = '{{ purpose }}'
    ),

    {# The crosswalk holds only what consent opens (lnk_child_consent): whoever is not in it is in nothing below. #}
    link as (
        select
            x.source,
            x.source_record_id,
            x.child_id,
            c.open_items,
            list_contains(c.open_domains, split_part(x.source, '.', 1)) as is_whole
        from {{ ref('lnk_crosswalk') }} as x
        inner join {{ ref('lnk_child_consent') }} as c on x.child_id = c.child_id
        where x.child_id is not null
    ),

    linked_systems as (
        select
            child_id,
            bool_or(source = 'resident.register') as has_resident,
            bool_or(source = 'education.enrolment') as has_school,
            bool_or(source = 'childcare.enrolment') as has_childcare
        from link
        group by child_id
    ),

    {# One row: which sources and items the municipality holds, and from when. #}
    source_state as (
        select
            {%- set seen_sources = [] %}
            {%- for feature, source, item, link, applies, expression in features %}
            {%- if source not in seen_sources %}
            {%- do seen_sources.append(source) %}
            coalesce(bool_or(held) filter (where source = '{{ source }}'), false) as held__{{ source.replace('.', '__') }},
            max(system_start) filter (where source = '{{ source }}') as begins__{{ source.replace('.', '__') }}
            {{- ',' if not loop.last else ',' }}
            {%- endif %}
            {%- endfor %}
            count(*) as n_sources
        from {{ source('cfg', 'source') }}
    ),

    item_state as (
        select
            {%- set seen_items = [] %}
            {%- for feature, source, item, link, applies, expression in features %}
            {%- if (source, item) not in seen_items %}
            {%- do seen_items.append((source, item)) %}
            coalesce(
                bool_or(not held) filter (
                    where source = '{{ source }}' and item in ('{{ item }}', '{{ source }}.{{ item }}')
                ), false
            ) as lacks__{{ source.replace('.', '__') }}__{{ item }},
            {%- endif %}
            {%- endfor %}
            count(*) as n_items
        from {{ source('cfg', 'item') }}
    ),

    state as (
        select * exclude (n_sources, n_items) from source_state cross join item_state
    ),

    {# Consent as it stands today, not at the past date: whoever has withdrawn is not used for training either. #}
    consent as (
        select
            child_id,
            open_items,
            open_domains,
            {%- for domain in ['education', 'childcare', 'welfare', 'health', 'medical', 'survey'] %}
            list_contains(open_domains, '{{ domain }}') as consent_{{ domain }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ ref('lnk_child_consent') }}
        where list_contains(open_domains, 'resident')
    ),

    residence as (
        select
            l.child_id,
            min(f.became_resident_on) as became_resident_on,
            bool_or(f.left_on is null) as never_left,
            max(f.left_on) as left_on
        from {{ ref('stg_resident__register') }} as f
        inner join link as l on l.source = 'resident.register' and l.source_record_id = f.source_record_id
        group by l.child_id
    ),

    enrolment as (
        select l.child_id, f.enrolled_on, f.left_on
        from {{ ref('stg_education__enrolment') }} as f
        inner join link as l on l.source = 'education.enrolment' and l.source_record_id = f.source_record_id
    ),

    enrolled as (
        select distinct e.child_id, a.as_of_date
        from enrolment as e
        inner join as_of as a
            on coalesce(e.enrolled_on, a.as_of_date) <= a.as_of_date and (e.left_on is null or e.left_on > a.as_of_date)
    ),

    dated_children as (
        select
            c.child_id,
            a.as_of_date,
            c.household_id,
            c.sex,
            c.birth_date,
            c.birth_date - interval 1 day as turns_on,
            date_sub('year', c.birth_date, a.as_of_date) as age_years,
            {# school years begin on 1 April; a child born on 1 April belongs to the year before (School Education Act 17) #}
            year(a.as_of_date - interval 3 month) - year(c.birth_date - interval 1 day - interval 3 month) - 6 as grade
        from {{ ref('mart_child') }} as c
        cross join as_of as a
        where c.birth_date is null or c.birth_date <= a.as_of_date
    ),

    population as (
        select
            d.child_id,
            d.as_of_date,
            d.household_id,
            d.sex,
            d.age_years,
            case when d.grade between 1 and 9 then d.grade end as grade,
            coalesce(d.grade between 1 and 9, e.child_id is not null) as is_school_age,
            coalesce(d.grade < 1, e.child_id is null) as is_preschool_age,
            e.child_id is not null as is_enrolled,
            coalesce(r.became_resident_on <= d.as_of_date, true)
            and coalesce(r.never_left or r.left_on > d.as_of_date, true) as is_resident,
            coalesce(k.has_resident, false) as has_resident,
            coalesce(k.has_school, false) as has_school,
            coalesce(k.has_childcare, false) as has_childcare,
            {#- a newborn and a family that has just come: nobody's turn yet #}
            d.age_years is null or (
                d.birth_date <= d.as_of_date - interval 6 month
                and coalesce(r.became_resident_on <= d.as_of_date - interval 3 month, true)
            ) and exists (
                select 1
                from {{ source('cfg', 'source') }} as s
                where
                    s.held
                    and d.age_years between s.sees_from and s.sees_until
                    and coalesce(s.system_start <= d.as_of_date, true)
                    and list_contains(co.open_domains, s.domain)
                    {#- a nursery sees whom it has, a school who is of its age #}
                    and (s.domain <> 'childcare' or coalesce(k.has_childcare, false))
                    and (
                        s.domain not in ('education', 'survey')
                        or coalesce(d.grade between 1 and 9, false) or e.child_id is not null
                    )
            ) as could_be_seen,
            co.consent_education,
            co.consent_childcare,
            co.consent_welfare,
            co.consent_health,
            co.consent_medical,
            co.consent_survey,
            co.open_items
        from dated_children as d
        inner join consent as co on d.child_id = co.child_id
        left join linked_systems as k on d.child_id = k.child_id
        left join enrolled as e on d.child_id = e.child_id and d.as_of_date = e.as_of_date
        left join residence as r on d.child_id = r.child_id
        where coalesce(d.age_years < 19, true)
    ),

    {# ---- household ---- #}
    sibling as (
        select c.child_id, s.child_id as sibling_id, s.birth_date as sibling_birth_date
        from {{ ref('mart_child') }} as c
        inner join {{ ref('mart_child') }} as s on c.household_id = s.household_id and c.child_id != s.child_id
    ),

    siblings as (
        select
            f.child_id,
            a.as_of_date,
            count(*) as siblings_count
        from sibling as f
        inner join as_of as a
            on f.sibling_birth_date <= a.as_of_date and f.sibling_birth_date > a.as_of_date - interval 18 year
        group by f.child_id, a.as_of_date
    ),

    {# Of an adult the register tells that they live there; of a minor nothing unless consent opens it. #}
    person as (
        select
            f.source_record_id,
            f.household_number,
            f.birth_date,
            f.birth_date__status = 'unreadable' as has_unreadable_age,
            f.became_resident_on,
            f.left_on,
            coalesce(f.birth_date <= run.as_of_date - interval 18 year, f.relationship in ('head', 'spouse', 'parent'), false)
                as is_adult,
            coalesce(lc.open_domains, rule.open_without) as open_domains
        from {{ ref('stg_resident__register') }} as f
        cross join {{ source('cfg', 'consent') }} as rule
        cross join {{ source('cfg', 'run') }} as run
        left join {{ ref('lnk_consent') }} as lc on f.source_record_id = lc.source_record_id
        where f.household_number is not null
    ),

    member as (
        select
            l.child_id,
            m.source_record_id as member_record_id,
            m.source_record_id = l.source_record_id as is_self,
            m.is_adult or list_contains(m.open_domains, 'welfare') as is_open_welfare,
            not m.is_adult and not list_contains(m.open_domains, 'resident') as is_closed,
            m.birth_date,
            m.has_unreadable_age,
            m.became_resident_on,
            m.left_on
        from link as l
        inner join person as o on l.source = 'resident.register' and l.source_record_id = o.source_record_id
        inner join person as m on o.household_number = m.household_number
    ),

    members as (
        select
            f.child_id,
            a.as_of_date,
            count(distinct f.member_record_id) filter (
                where f.birth_date <= a.as_of_date - interval 18 year
            ) as household_adults,
            bool_or(
                f.is_closed and not f.is_self
                and coalesce(f.birth_date <= a.as_of_date and f.birth_date > a.as_of_date - interval 18 year, true)
            ) as has_closed_sibling
        from member as f
        inner join as_of as a
            on coalesce(f.became_resident_on, a.as_of_date) <= a.as_of_date
            and (f.left_on is null or f.left_on > a.as_of_date)
        group by f.child_id, a.as_of_date
    ),

    moves as (
        select
            f.child_id,
            a.as_of_date,
            count(*) filter (where f.event in ('moved_in', 'moved_within')) as moves_24m,
            count(*) filter (where f.event in ('name_changed', 'household_changed')) as name_changes_24m
        from ({{ child_facts('resident.moves', 'f.event_on, f.event') }}) as f
        inner join as_of as a on {{ within('f.event_on', 24) }}
        group by f.child_id, a.as_of_date
    ),

    seen as (
        select
            p.child_id,
            p.as_of_date,
            date_diff('day', e.event_date, p.as_of_date) as days_since_seen
        from population as p
        asof inner join (
            select distinct child_id, event_date from {{ ref('mart_child_event') }} where event_date is not null and is_seen
        ) as e
            on p.child_id = e.child_id and p.as_of_date >= e.event_date
    ),

    {# ---- school ---- #}
    attendance as (
        select
            child_id,
            {{ month_end('month') }} as month_end,
            school_days,
            {{ days_of('absent_days', 'school_days') }},
            {{ days_of('late_days', 'school_days') }},
            {{ days_of('early_leave_days', 'school_days') }}
        from ({{ child_facts('education.attendance', 'f.month, f.school_days, f.absent_days, f.late_days, f.early_leave_days') }})
    ),

    att as (
        select
            f.child_id,
            a.as_of_date,
            sum(f.absent_days) filter (where {{ within('f.month_end', 1) }}) as absent_days_1m,
            sum(f.absent_days) filter (where {{ within('f.month_end', 1) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 1) }} and f.absent_days is not null), 0)
                as absent_rate_1m,
            sum(f.absent_days) filter (where {{ within('f.month_end', 3) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 3) }} and f.absent_days is not null), 0)
                as absent_rate_3m,
            sum(f.absent_days) filter (where f.school_days > 0)
            / nullif(sum(f.school_days) filter (where f.absent_days is not null), 0) as absent_rate_24m,
            sum(f.absent_days) filter (where {{ within('f.month_end', 12) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 12) }} and f.absent_days is not null), 0)
                as absent_rate_12m,
            sum(f.absent_days) filter (
                where {{ within('f.month_end', 12) }} and not ({{ within('f.month_end', 3) }}) and f.school_days > 0
            )
            / nullif(
                sum(f.school_days) filter (
                    where
                    {{ within('f.month_end', 12) }} and not ({{ within('f.month_end', 3) }}) and f.absent_days is not null
                ), 0
            ) as absent_rate_before,
            sum(f.absent_days) filter (
                where year(f.month_end - interval 3 month) = year(a.as_of_date - interval 3 month - interval 1 day)
            ) as absent_days_ytd,
            sum(f.late_days) filter (where {{ within('f.month_end', 3) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 3) }} and f.late_days is not null), 0)
                as late_rate_3m,
            sum(f.late_days) filter (where {{ within('f.month_end', 12) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 12) }} and f.late_days is not null), 0)
                as late_rate_12m,
            sum(f.late_days) filter (where f.school_days > 0)
            / nullif(sum(f.school_days) filter (where f.late_days is not null), 0) as late_rate_24m,
            sum(f.late_days) filter (where f.school_days > 0) as late_days_24m,
            sum(f.school_days) filter (where f.late_days is not null) as late_of_days_24m,
            sum(f.early_leave_days) filter (where {{ within('f.month_end', 12) }} and f.school_days > 0)
            / nullif(
                sum(f.school_days) filter (where {{ within('f.month_end', 12) }} and f.early_leave_days is not null), 0
            ) as early_leave_rate_12m,
            sum(f.early_leave_days) filter (where {{ within('f.month_end', 3) }} and f.school_days > 0)
            / nullif(sum(f.school_days) filter (where {{ within('f.month_end', 3) }} and f.early_leave_days is not null), 0)
                as early_leave_rate_3m
        from attendance as f
        inner join as_of as a on {{ within('f.month_end', 24) }}
        group by f.child_id, a.as_of_date
    ),

    sib_att as (
        select
            s.child_id,
            f.as_of_date,
            max(f.absent_rate_3m) as sibling_absent_rate_3m
        from sibling as s
        inner join att as f on s.sibling_id = f.child_id
        group by s.child_id, f.as_of_date
    ),

    hr as (
        select
            f.child_id,
            a.as_of_date,
            count(*) filter (where {{ within('f.visited_on', 3) }}) as health_room_3m,
            count(*) as health_room_12m,
            count(*) filter (where f.reason in ('mental', 'fatigue')) as health_room_mental_12m,
            count(*) filter (where f.reason = 'hygiene') as health_room_hygiene_12m
        from ({{ child_facts('education.health_room', 'f.visited_on, f.reason') }}) as f
        inner join as_of as a on {{ within('f.visited_on', 12) }}
        group by f.child_id, a.as_of_date
    ),

    ass as (
        select
            f.child_id,
            a.as_of_date,
            max_by(f.mean_score, f.assessed_on) as assessment_last,
            max_by(f.mean_score, f.assessed_on, 2)[2] as assessment_before
        from (
            select
                child_id,
                assessed_on,
                case
                    when japanese_score is null then mathematics_score
                    when mathematics_score is null then japanese_score
                    else (japanese_score + mathematics_score) / 2
                end as mean_score
            from ({{ child_facts('education.assessment', 'f.assessed_on, f.japanese_score, f.mathematics_score') }})
        ) as f
        inner join as_of as a on {{ within('f.assessed_on', 24) }}
        where f.mean_score is not null
        group by f.child_id, a.as_of_date
    ),

    chk as (
        select
            f.child_id,
            a.as_of_date,
            arg_max(f.untreated_cavities, f.checked_on) filter (where {{ within('f.checked_on', 18) }}) as cavities_last,
            arg_max(
                case f.finding when 'healthy' then 0 when 'observe' then 1 when 'examine' then 2 when 'treat' then 3 end,
                f.checked_on
            ) filter (where {{ within('f.checked_on', 18) }}) as school_finding_last,
            arg_max(f.weight_kg / nullif((f.height_cm / 100) * (f.height_cm / 100), 0), f.checked_on)
                filter (where {{ within('f.checked_on', 18) }}) as bmi_last,
            avg(f.untreated_cavities) filter (where f.untreated_cavities >= 0) as cavities_36m
        from (
            {{ child_facts('education.school_checkup', 'f.checked_on, f.untreated_cavities, f.finding, f.height_cm, f.weight_kg') }}
        ) as f
        inner join as_of as a on {{ within('f.checked_on', 36) }}
        group by f.child_id, a.as_of_date
    ),

    cou as (
        select
            f.child_id,
            a.as_of_date,
            count(*) as counselling_12m,
            max({{ severity_level('f.severity') }}) as counselling_severity_12m,
            count(*) filter (where f.topic = 'family') as counselling_family_12m,
            count(*) filter (where f.topic = 'truancy') as counselling_truancy_12m,
            count(*) filter (where f.topic in ('mind', 'family', 'truancy')) as counselling_mind_12m
        from ({{ child_facts('education.counselling', 'f.counselled_on, f.topic, f.severity') }}) as f
        inner join as_of as a on {{ within('f.counselled_on', 12) }}
        group by f.child_id, a.as_of_date
    ),

    fee as (
        select
            f.child_id,
            a.as_of_date,
            arg_max(f.unpaid_months, f.month_end) filter (where {{ within('f.month_end', 3) }}) as fees_unpaid_months,
            sum(f.unpaid_yen) filter (where {{ within('f.month_end', 12) }}) as fees_unpaid_yen_12m,
            count(*) filter (where f.unpaid_yen > 0) as fees_unpaid_24m
        from (
            select child_id, {{ month_end('month') }} as month_end, unpaid_yen, unpaid_months
            from ({{ child_facts('education.fees', 'f.month, f.unpaid_yen, f.unpaid_months') }})
        ) as f
        inner join as_of as a on {{ within('f.month_end', 24) }}
        group by f.child_id, a.as_of_date
    ),

    aid as (
        select
            f.child_id,
            a.as_of_date,
            max(case f.category when 'needy' then 2 when 'quasi_needy' then 1 end)
                filter (where {{ goes_on('f.ended_on') }}) as school_aid,
            1 as school_aid_36m
        from ({{ child_facts('education.school_aid', 'f.certified_on, f.ended_on, f.ended_on__status, f.category') }}) as f
        inner join as_of as a
            on f.certified_on <= a.as_of_date
            and ({{ goes_on('f.ended_on') }} or f.ended_on > a.as_of_date - interval 36 month)
        group by f.child_id, a.as_of_date
    ),

    sur as (
        select
            f.child_id,
            a.as_of_date,
            arg_max(f.mood, f.answered_on) as survey_mood,
            max_by(f.mood, f.answered_on, 2)[2] as survey_mood_before,
            arg_max(f.sleep, f.answered_on) as survey_sleep,
            arg_max(f.friends, f.answered_on) as survey_friends,
            arg_max(f.home, f.answered_on) as survey_home,
            arg_max(f.care_hours, f.answered_on) as survey_care_hours,
            arg_max(case f.adult_to_talk when 'no' then 1 when 'yes' then 0 end, f.answered_on) as survey_no_adult,
            avg(f.mood) filter (where f.mood between 1 and 5) as survey_mood_12m,
            avg(f.sleep) filter (where f.sleep between 1 and 5) as survey_sleep_12m,
            avg(f.friends) filter (where f.friends between 1 and 5) as survey_friends_12m,
            avg(f.home) filter (where f.home between 1 and 5) as survey_home_12m,
            avg(f.care_hours) filter (where f.care_hours >= 0) as survey_care_hours_12m,
            avg(case f.adult_to_talk when 'no' then 1 when 'yes' then 0 end) as survey_no_adult_12m
        from (
            {{ child_facts('survey.wellbeing', 'f.answered_on, f.mood, f.sleep, f.friends, f.home, f.care_hours, f.adult_to_talk') }}
        ) as f
        inner join as_of as a on {{ within('f.answered_on', 12) }}
        group by f.child_id, a.as_of_date
    ),

    {# ---- childcare ---- #}
    cca as (
        select
            f.child_id,
            a.as_of_date,
            sum(f.absent_days) filter (where {{ within('f.month_end', 3) }} and f.open_days > 0)
            / nullif(sum(f.open_days) filter (where {{ within('f.month_end', 3) }} and f.absent_days is not null), 0)
                as childcare_absent_rate_3m,
            sum(f.late_pickup_days) filter (where {{ within('f.month_end', 3) }}) as childcare_late_pickup_3m,
            sum(f.unpaid_yen) filter (where {{ within('f.month_end', 12) }}) as childcare_unpaid_yen_12m,
            sum(f.late_pickup_days) filter (where f.open_days > 0) as late_pickup_24m,
            count(f.late_pickup_days) filter (where f.open_days > 0) as late_pickup_of_months_24m,
            count(*) filter (where f.unpaid_yen > 0) as childcare_unpaid_24m,
            count(f.unpaid_yen) as childcare_unpaid_of_months_24m
        from (
            select
                child_id,
                {{ month_end('month') }} as month_end,
                open_days,
                {{ days_of('absent_days', 'open_days') }},
                {{ days_of('late_pickup_days', 'open_days') }},
                unpaid_yen
            from ({{ child_facts('childcare.attendance', 'f.month, f.open_days, f.absent_days, f.late_pickup_days, f.unpaid_yen') }})
        ) as f
        inner join as_of as a on {{ within('f.month_end', 24) }}
        group by f.child_id, a.as_of_date
    ),

    {# ---- welfare ---- #}
    ben as (
        select distinct
            f.child_id,
            a.as_of_date,
            1 as single_parent
        from ({{ child_facts('welfare.child_benefit', 'f.benefit, f.started_on, f.ended_on, f.ended_on__status') }}) as f
        inner join as_of as a on f.started_on <= a.as_of_date and {{ goes_on('f.ended_on') }}
        where f.benefit in ('child_rearing_allowance', 'single_parent_medical')
    ),

    pa as (
        select distinct
            m.child_id,
            a.as_of_date,
            1 as public_assistance
        from {{ ref('stg_welfare__public_assistance') }} as f
        inner join member as m on f.source_record_id = m.member_record_id and m.is_open_welfare
        inner join as_of as a on f.started_on <= a.as_of_date and {{ goes_on('f.ended_on') }}
    ),

    dis as (
        select
            m.child_id,
            a.as_of_date,
            max(case when m.is_self then 1 else 0 end) as disability_self,
            count(distinct m.member_record_id) filter (where not m.is_self) as disability_household
        from {{ ref('stg_welfare__disability') }} as f
        inner join member as m on f.source_record_id = m.member_record_id and m.is_open_welfare
        inner join as_of as a on f.issued_on <= a.as_of_date and {{ goes_on('f.expires_on') }}
        group by m.child_id, a.as_of_date
    ),

    consultation as (
        {{ child_facts('welfare.consultation', 'f.consulted_on, f.topic, f.severity') }}
    ),

    con as (
        select
            f.child_id,
            a.as_of_date,
            count(*) filter (where {{ within('f.consulted_on', 12) }}) as consultations_12m,
            count(*) filter (where {{ within('f.consulted_on', 3) }}) as consultations_3m,
            max({{ severity_level('f.severity') }}) filter (where {{ within('f.consulted_on', 24) }})
                as consultation_severity_24m,
            count(*) filter (where f.topic in ('abuse', 'neglect') and {{ within('f.consulted_on', 24) }})
                as consultation_abuse_24m,
            date_sub('month', max(f.consulted_on) filter (where {{ within('f.consulted_on', 24) }}), a.as_of_date)
                as consultation_months_since,
            count(*) filter (where f.topic = 'poverty') as consultation_poverty_36m,
            count(*) as consultations_36m
        from consultation as f
        inner join as_of as a on {{ within('f.consulted_on', 36) }}
        group by f.child_id, a.as_of_date
    ),

    sib_con as (
        select s.child_id, a.as_of_date, count(*) as sibling_consultations_24m
        from sibling as s
        inner join consultation as f on s.sibling_id = f.child_id
        inner join as_of as a on {{ within('f.consulted_on', 24) }}
        group by s.child_id, a.as_of_date
    ),

    cases as (
        {{ child_facts('welfare.case', 'f.opened_on, f.closed_on, f.severity') }}
    ),

    {# Only cases that were closed again: an open one is the outcome itself, not a sign of it. #}
    cas as (
        select
            f.child_id,
            a.as_of_date,
            count(*) as case_closed_24m,
            max({{ severity_level('f.severity') }}) as case_severity_24m
        from cases as f
        inner join as_of as a on {{ within('f.closed_on', 24) }}
        where f.opened_on <= f.closed_on
        group by f.child_id, a.as_of_date
    ),

    sib_cas as (
        select s.child_id, a.as_of_date, count(*) as sibling_cases_24m
        from sibling as s
        inner join cases as f on s.sibling_id = f.child_id
        inner join as_of as a on {{ within('f.opened_on', 24) }}
        group by s.child_id, a.as_of_date
    ),

    cas_opened as (
        select f.child_id, a.as_of_date, count(*) as cases_60m
        from cases as f
        inner join as_of as a on {{ within('f.opened_on', 60) }}
        group by f.child_id, a.as_of_date
    ),

    {# ---- health and hospital ---- #}
    pre as (
        select
            f.child_id,
            a.as_of_date,
            max(case f.concern when 'none' then 0 when 'some' then 1 when 'strong' then 2 end) as pregnancy_concern,
            max(f.gestational_weeks) as pregnancy_weeks
        from ({{ child_facts('health.pregnancy', 'f.notified_on, f.gestational_weeks, f.concern') }}) as f
        inner join as_of as a on {{ within('f.notified_on', 84) }}
        group by f.child_id, a.as_of_date
    ),

    inf as (
        select
            f.child_id,
            a.as_of_date,
            {#- without a filter no row would be 0 where it must be nothing: these say "none due within 36 months" #}
            case when bool_or({{ within('f.due_on', 36) }}) then count(*) filter (
                where {{ within('f.due_on', 36) }}
                and f.due_on <= a.as_of_date - interval 2 month
                and {{ goes_on('f.checked_on') }}
            ) end as infant_checkups_missed_36m,
            case when bool_or({{ within('f.due_on', 36) }}) then count(*) filter (
                where {{ within('f.due_on', 36) }}
                and f.checked_on <= a.as_of_date and f.result in ('observe', 'examine', 'guide')
            ) end as infant_findings_36m,
            sum(f.untreated_cavities) filter (where f.checked_on <= a.as_of_date and {{ within('f.due_on', 36) }})
                as infant_cavities_36m,
            max(f.difficulty) filter (where f.checked_on <= a.as_of_date and {{ within('f.due_on', 36) }})
                as parenting_difficulty_36m,
            count(*) filter (
                where f.due_on <= a.as_of_date - interval 2 month
                and {{ goes_on('f.checked_on') }}
            ) as infant_checkups_missed_60m,
            count(*) filter (where f.due_on <= a.as_of_date - interval 2 month) as infant_checkups_due_60m,
            sum(f.finding) filter (where f.checked_on <= a.as_of_date) as finding_60m,
            count(f.finding) filter (where f.checked_on <= a.as_of_date) as finding_of_60m,
            avg(f.finding) filter (where f.checked_on <= a.as_of_date) as infant_findings_60m,
            sum(f.difficulty) filter (where f.checked_on <= a.as_of_date) as difficulty_60m,
            count(f.difficulty) filter (where f.checked_on <= a.as_of_date) as difficulty_of_60m,
            avg(f.difficulty) filter (where f.checked_on <= a.as_of_date) as parenting_difficulty_60m
        from (
            select
                *,
                case result when 'healthy' then 0 when 'observe' then 1 when 'examine' then 2 when 'guide' then 3 end
                    as finding,
                case parenting_difficulty when 'no' then 0 when 'somewhat' then 1 when 'yes' then 2 end as difficulty
            from (
                {{ child_facts(
                    'health.infant_checkup',
                    'f.due_on, f.checked_on, f.checked_on__status, f.result, f.untreated_cavities, f.parenting_difficulty'
                ) }}
            )
        ) as f
        inner join as_of as a on {{ within('f.due_on', 60) }}
        group by f.child_id, a.as_of_date
    ),

    {# The age by which each is given as a rule (予防接種法施行令: routine vaccinations); somewhat later, it is missing. #}
    vaccination_due as (
        select
            p.child_id,
            p.as_of_date,
            v.vaccine
        from dated_children as p
        inner join (values ('dpt', 12), ('bcg', 12), ('mr1', 24), ('je', 60), ('mr2', 84)) as v (vaccine, months)
            on p.birth_date + to_months(v.months) > p.as_of_date - interval 60 month
            and p.birth_date + to_months(v.months) <= p.as_of_date
        inner join residence as r on p.child_id = r.child_id and r.became_resident_on <= p.birth_date + interval 60 day
    ),

    vaccination as (
        {{ child_facts('health.vaccination', 'f.vaccinated_on, f.vaccine') }}
    ),

    vac_given as (
        select f.child_id, a.as_of_date, count(*) as vaccinations_24m
        from vaccination as f
        inner join as_of as a on {{ within('f.vaccinated_on', 24) }}
        group by f.child_id, a.as_of_date
    ),

    vac_missing as (
        select
            d.child_id,
            d.as_of_date,
            count(*) filter (where f.child_id is null) as vaccinations_missing_60m
        from vaccination_due as d
        left join (select child_id, vaccine, min(vaccinated_on) as given_on from vaccination group by all) as f
            on d.child_id = f.child_id and d.vaccine = f.vaccine and f.given_on <= d.as_of_date
        group by d.child_id, d.as_of_date
    ),

    vac as (
        select
            coalesce(g.child_id, m.child_id) as child_id,
            coalesce(g.as_of_date, m.as_of_date) as as_of_date,
            g.vaccinations_24m,
            m.vaccinations_missing_60m
        from vac_given as g
        full outer join vac_missing as m on g.child_id = m.child_id and g.as_of_date = m.as_of_date
    ),

    hv as (
        select
            f.child_id,
            a.as_of_date,
            count(*) filter (where {{ within('f.visited_on', 24) }}) as home_visits_24m,
            max(f.level) filter (where {{ within('f.visited_on', 24) }}) as home_visit_finding_24m,
            count(*) filter (where f.purpose = 'follow_up' and {{ within('f.visited_on', 12) }})
                as home_visits_follow_up_12m,
            max(f.level) as home_visit_finding_36m
        from (
            select
                *,
                case finding when 'none' then 0 when 'concern' then 1 when 'serious' then 2 end as level
            from ({{ child_facts('health.home_visit', 'f.visited_on, f.purpose, f.finding') }})
        ) as f
        inner join as_of as a on {{ within('f.visited_on', 36) }}
        group by f.child_id, a.as_of_date
    ),

    med as (
        select
            f.child_id,
            a.as_of_date,
            count(*) filter (where {{ within('f.flagged_on', 3) }}) as hospital_flags_3m,
            count(*) filter (where {{ within('f.flagged_on', 12) }}) as hospital_flags_12m,
            max({{ severity_level('f.severity') }}) filter (where {{ within('f.flagged_on', 12) }})
                as hospital_flag_severity_12m,
            date_diff('day', max(f.flagged_on) filter (where {{ within('f.flagged_on', 12) }}), a.as_of_date)
                as hospital_flag_days_since,
            count(*) filter (where f.flag in ('unexplained_injury', 'repeated_injury', 'neglect_sign'))
                as hospital_flag_harm_24m,
            count(*) as hospital_flags_24m
        from ({{ child_facts('medical.flag', 'f.flagged_on, f.flag, f.severity') }}) as f
        inner join as_of as a on {{ within('f.flagged_on', 24) }}
        group by f.child_id, a.as_of_date
    ),

    {#
      The children of one household together: what is told of one says something of the home of all. Each child's facts
      count only where consent covers them, like its own features.
    #}
    pair as (
        select
            p.child_id,
            p.as_of_date,
            m.child_id as member_id,
            m.child_id != p.child_id as is_sibling,
            m.is_school_age,
            m.consent_education,
            m.consent_childcare,
            m.consent_welfare,
            m.consent_health,
            m.consent_medical,
            m.consent_survey
        from population as p
        inner join population as m
            on p.as_of_date = m.as_of_date
            and coalesce(p.household_id, p.child_id) = coalesce(m.household_id, m.child_id)
    ),

    kin as (
        select
            k.child_id,
            k.as_of_date,
            sum(att.late_days_24m) filter (where k.consent_education)
            / nullif(sum(att.late_of_days_24m) filter (where k.consent_education), 0) as household_late_rate_24m,
            avg(chk.cavities_36m) filter (where k.consent_education) as household_cavities_36m,
            avg(coalesce(fee.fees_unpaid_24m, 0)) filter (where k.consent_education and k.is_school_age)
                as household_fees_unpaid_24m,
            avg(coalesce(aid.school_aid_36m, 0))
                filter (where k.consent_education and (k.is_school_age or aid.school_aid_36m = 1))
                as household_school_aid_36m,
            sum(cca.late_pickup_24m) filter (where k.consent_childcare)
            / nullif(sum(cca.late_pickup_of_months_24m) filter (where k.consent_childcare), 0)
                as household_late_pickup_24m,
            sum(cca.childcare_unpaid_24m) filter (where k.consent_childcare)
            / nullif(sum(cca.childcare_unpaid_of_months_24m) filter (where k.consent_childcare), 0)
                as household_childcare_unpaid_24m,
            sum(con.consultations_36m) filter (where k.consent_welfare) as household_consultations_36m,
            sum(cas.cases_60m) filter (where k.is_sibling and k.consent_welfare) as sibling_cases_60m,
            max(pre.pregnancy_concern) filter (where k.consent_health) as household_pregnancy_concern_84m,
            sum(inf.infant_checkups_missed_60m) filter (where k.consent_health)
            / nullif(sum(inf.infant_checkups_due_60m) filter (where k.consent_health), 0)
                as household_infant_missed_60m,
            sum(inf.finding_60m) filter (where k.consent_health)
            / nullif(sum(inf.finding_of_60m) filter (where k.consent_health), 0) as household_infant_findings_60m,
            sum(inf.difficulty_60m) filter (where k.consent_health)
            / nullif(sum(inf.difficulty_of_60m) filter (where k.consent_health), 0)
                as household_parenting_difficulty_60m,
            max(hv.home_visit_finding_36m) filter (where k.consent_health) as household_home_visit_finding_36m,
            sum(med.hospital_flags_24m) filter (where k.consent_medical) as household_hospital_flags_24m,
            avg(sur.survey_home_12m) filter (where k.consent_survey) as household_survey_home_12m,
            avg(sur.survey_care_hours_12m) filter (where k.consent_survey) as household_care_hours_12m
        from pair as k
        {%- for alias, relation in [
            ('att', 'att'), ('chk', 'chk'), ('fee', 'fee'), ('aid', 'aid'), ('cca', 'cca'), ('con', 'con'),
            ('cas', 'cas_opened'), ('pre', 'pre'), ('inf', 'inf'), ('hv', 'hv'), ('med', 'med'), ('sur', 'sur'),
        ] %}
        left join {{ relation }} as {{ alias }}
            on k.member_id = {{ alias }}.child_id and k.as_of_date = {{ alias }}.as_of_date
        {%- endfor %}
        group by k.child_id, k.as_of_date
    ),

    {{ unread_ctes() }}

    valued as (
        select
            p.child_id,
            p.as_of_date,
            p.household_id,
            p.sex,
            p.is_resident,
            p.is_enrolled,
            p.is_school_age
            {%- for feature, source, item, link, applies, expression in features %},
            cast({{ expression }} as double) as {{ feature }},
            {{ source_absence(feature, source, item, link, applies, expression) }} as {{ feature }}__absent
            {%- endfor %}
        from population as p
        cross join state as s
        cross join unread_for_all as ua
        {%- for alias, relation in [
            ('sib', 'siblings'), ('mem', 'members'), ('mov', 'moves'), ('seen', 'seen'), ('att', 'att'),
            ('sib_att', 'sib_att'), ('hr', 'hr'), ('ass', 'ass'), ('chk', 'chk'), ('cou', 'cou'), ('fee', 'fee'),
            ('aid', 'aid'), ('sur', 'sur'), ('cca', 'cca'), ('ben', 'ben'), ('pa', 'pa'), ('dis', 'dis'),
            ('con', 'con'), ('sib_con', 'sib_con'), ('cas', 'cas'), ('sib_cas', 'sib_cas'), ('pre', 'pre'),
            ('inf', 'inf'), ('vac', 'vac'), ('hv', 'hv'), ('med', 'med'), ('kin', 'kin'), ('un', 'unread'),
            ('uk', 'unread_kin'),
        ] %}
        left join {{ relation }} as {{ alias }}
            on p.child_id = {{ alias }}.child_id and p.as_of_date = {{ alias }}.as_of_date
        {%- endfor %}
    ),

    final as (
        select
            child_id,
            as_of_date,
            household_id,
            sex,
            is_resident,
            is_enrolled,
            is_school_age
            {%- for feature, source, item, link, applies, expression in features %},
            case when {{ feature }}__absent is null then {{ feature }} end as {{ feature }},
            coalesce({{ feature }}__absent, case when {{ feature }} is null then 'blank' else 'present' end)
                as {{ feature }}__status
            {%- endfor %}
        from valued
    )

    select * from final
    order by as_of_date, child_id
{% endmacro %}
