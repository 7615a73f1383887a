-- 同意記録 / Consent records: every line of the ledger, one row each.
with source as not materialized (
    select * from {{ source('raw', 'raw_consent__record') }}
),

rules as (
    {{
        item_rules('consent.record', [
            'resident_number', 'consented_on', 'valid_from', 'valid_until', 'withdrawn_on', 'scope', 'decision',
            'only_items', 'only_themes', 'given_by', 'route', 'evidence',
        ])
    }}
),

current_rows as (
    {{
        current_rows([
            'resident_number', 'consented_on', 'valid_from', 'valid_until', 'withdrawn_on', 'scope', 'decision',
            'only_items', 'only_themes', 'given_by', 'route', 'evidence',
        ])
    }}
),

cleansed as (
    select
        -- ids
        {{ record_id('resident_number') }},
        -- dates
        {{ staged_date('consented_on') }},
        {{ staged_date('valid_from') }},
        {{ staged_date('valid_until') }},
        {{ staged_date('withdrawn_on') }},
        -- codes
        {{ staged_code('scope') }},
        {{ staged_code('decision') }},
        {{ staged_code('given_by') }},
        {{ staged_code('route') }},
        -- texts
        {{ staged_text('only_items') }},
        {{ staged_text('only_themes') }},
        {{ staged_text('evidence') }},
        -- provenance
        {{ provenance('current_rows') }}
    from current_rows
    cross join rules
),

-- A later extract corrects a line; two lines of one ledger stand both (the second may withdraw the first): which of a
-- child's lines counts is for lnk_consent to say.
superseded as (
    select
        cleansed._extract_date,
        cleansed._source_file_sha256,
        cleansed._row_number
    from cleansed
    where cleansed.source_record_id is not null and cleansed.consented_on is not null and cleansed.scope is not null
    qualify
        cleansed._extract_date < max(cleansed._extract_date) over (
            partition by cleansed.source_record_id, cleansed.consented_on, cleansed.scope
        )
),

final as (
    select
        -- ids
        cleansed.source_record_id,
        -- dates
        {{ item('consented_on') }},
        {{ item('valid_from') }},
        {{ item('valid_until') }},
        {{ item('withdrawn_on') }},
        -- codes
        {{ item('scope') }},
        {{ item('decision') }},
        {{ item('given_by') }},
        {{ item('route') }},
        -- texts
        {{ item('only_items') }},
        {{ item('only_themes') }},
        {{ item('evidence') }},
        -- provenance
        {{ provenance('cleansed') }}
    from cleansed
    cross join rules
    {{ not_superseded() }}
)

select * from final
