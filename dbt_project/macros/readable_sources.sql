{#-
    What must be readable for a feature, as plain data for unreadable.sql. In a file of its own: sqlfluff hands a macro's
    `return` to the caller only where the caller is in another file; within one file it ends the calling macro as well.
-#}

{#-
    (source, day that a row is about, its end where it lasts, whose rows) and per item that a feature stands on the items
    that must be readable for it. `by`: the source's rows are a child's through the crosswalk, or through the household.
-#}
{% macro readable_sources() -%}
    {{ return([
        ('resident.moves', 'event_on', none, 'child', {'event_on': [], 'event': ['event']}),
        ('education.attendance', 'month', none, 'child', {
            'absent_days': ['absent_days', 'school_days'], 'late_days': ['late_days', 'school_days'],
            'early_leave_days': ['early_leave_days', 'school_days'],
        }),
        ('education.health_room', 'visited_on', none, 'child', {'visited_on': [], 'reason': ['reason']}),
        ('education.assessment', 'assessed_on', none, 'child', {
            'japanese_score': ['japanese_score', 'mathematics_score'],
        }),
        ('education.school_checkup', 'checked_on', none, 'child', {
            'untreated_cavities': ['untreated_cavities'], 'finding': ['finding'],
            'weight_kg': ['weight_kg', 'height_cm'],
        }),
        ('education.counselling', 'counselled_on', none, 'child', {
            'counselled_on': [], 'severity': ['severity'], 'topic': ['topic'],
        }),
        ('education.fees', 'month', none, 'child', {'unpaid_months': ['unpaid_months'], 'unpaid_yen': ['unpaid_yen']}),
        ('education.school_aid', 'certified_on', 'ended_on', 'child', {'category': ['category']}),
        ('childcare.attendance', 'month', none, 'child', {
            'absent_days': ['absent_days', 'open_days'], 'late_pickup_days': ['late_pickup_days', 'open_days'],
            'unpaid_yen': ['unpaid_yen'],
        }),
        ('welfare.child_benefit', 'started_on', 'ended_on', 'child', {'benefit': ['benefit']}),
        ('welfare.public_assistance', 'started_on', 'ended_on', 'household', {'started_on': []}),
        ('welfare.disability', 'issued_on', 'expires_on', 'household', {'certificate': []}),
        ('welfare.consultation', 'consulted_on', none, 'child', {
            'consulted_on': [], 'severity': ['severity'], 'topic': ['topic'],
        }),
        ('welfare.case', 'opened_on', none, 'child', {
            'opened_on': [], 'closed_on': ['closed_on'], 'severity': ['severity', 'closed_on'],
        }),
        ('health.pregnancy', 'notified_on', none, 'child', {
            'concern': ['concern'], 'gestational_weeks': ['gestational_weeks'],
        }),
        ('health.infant_checkup', 'due_on', none, 'child', {
            'checked_on': ['checked_on'], 'result': ['result', 'checked_on'],
            'untreated_cavities': ['untreated_cavities', 'checked_on'],
            'parenting_difficulty': ['parenting_difficulty', 'checked_on'],
        }),
        ('health.vaccination', 'vaccinated_on', none, 'child', {'vaccinated_on': ['vaccine']}),
        ('health.home_visit', 'visited_on', none, 'child', {
            'visited_on': [], 'finding': ['finding'], 'purpose': ['purpose'],
        }),
        ('medical.flag', 'flagged_on', none, 'child', {'flagged_on': [], 'severity': ['severity'], 'flag': ['flag']}),
        ('survey.wellbeing', 'answered_on', none, 'child', {
            'mood': ['mood'], 'sleep': ['sleep'], 'friends': ['friends'], 'home': ['home'],
            'care_hours': ['care_hours'], 'adult_to_talk': ['adult_to_talk'],
        }),
    ]) }}
{%- endmacro %}

{#- The months a feature looks back (0: the state at the date), where its name does not end in them. -#}
{% macro lookback_of(feature) -%}
    {%- set told = {
        'age_years': 0, 'grade': 0, 'siblings_count': 0, 'household_adults': 0, 'single_adult': 0, 'days_since_seen': 0,
        'absent_days_ytd': 12, 'absent_trend': 12, 'late_trend': 24, 'assessment_last': 24, 'assessment_change': 24,
        'cavities_last': 18, 'school_finding_last': 18, 'bmi_last': 18, 'fees_unpaid_months': 3, 'school_aid': 0,
        'single_parent': 0, 'public_assistance': 0, 'disability_self': 0, 'disability_household': 0,
        'consultation_months_since': 24, 'pregnancy_concern': 84, 'pregnancy_weeks': 84, 'survey_mood': 12,
        'survey_sleep': 12, 'survey_friends': 12, 'survey_home': 12, 'survey_care_hours': 12, 'survey_no_adult': 12,
        'survey_mood_change': 12,
    } -%}
    {{ return(told[feature] if feature in told else (feature.split('_') | last)[:-1] | int) }}
{%- endmacro %}

{#-
    What an unreadable row does to a feature: 'least' (the default: nothing found is not nothing, what was found stays),
    'last' (the newest record counts: an unreadable one that is as new makes it unknown), 'any' (what is *missing* is
    counted, or a difference: an unreadable row may make it too large as well).
-#}
{% macro unreadable_matters(feature) -%}
    {%- if feature in (
        'assessment_last', 'assessment_change', 'cavities_last', 'school_finding_last', 'bmi_last', 'fees_unpaid_months',
        'survey_mood', 'survey_sleep', 'survey_friends', 'survey_home', 'survey_care_hours', 'survey_no_adult',
        'survey_mood_change',
    ) -%}
        {{ return('last') }}
    {%- elif feature in ('vaccinations_missing_60m', 'absent_trend', 'late_trend') -%}
        {{ return('any') }}
    {%- endif -%}
    {{ return('least') }}
{%- endmacro %}

{#- Name of the column that holds the newest unreadable day of an item. -#}
{% macro unread_column(source, item) -%}
    {{ return('u__' ~ source.replace('.', '__') ~ '__' ~ item) }}
{%- endmacro %}
