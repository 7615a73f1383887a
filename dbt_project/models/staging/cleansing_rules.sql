-- What the municipality's file and the catalogue say of each item, as one struct per item: the staging models read it
-- once and look nothing up per row.
with run as (
    select * from {{ source('cfg', 'run') }}
),

as_of_day as (
    select max(run.as_of_date) as as_of_date
    from run
),

source_rules as (
    select * from {{ source('cfg', 'source') }}
),

item_rules as (
    select * from {{ source('cfg', 'item') }}
),

null_tokens as (
    select
        source,
        item,
        list(distinct {{ trimmed('token') }}) as tokens
    from {{ source('cfg', 'null_token') }}
    group by source, item
),

local_codes as (
    select
        source,
        item,
        {{ trimmed('local_code') }} as local_code,
        min(code) as code
    from {{ source('cfg', 'code_map') }}
    group by source, item, {{ trimmed('local_code') }}
),

code_maps as (
    select
        source,
        item,
        map_from_entries(list(struct_pack(k := local_code, v := code) order by local_code)) as codes
    from local_codes
    where local_code <> ''
    group by source, item
),

final as (
    select
        item_rules.source,
        item_rules.item,
        as_of_day.as_of_date,
        source_rules.extract_kind,
        source_rules.system_start,
        struct_pack(
            held := source_rules.held and item_rules.held,
            date_style := item_rules.date_style,
            era_codes := item_rules.era_codes,
            minimum := item_rules.minimum,
            maximum := item_rules.maximum,
            years_back := item_rules.years_back,
            days_ahead := item_rules.days_ahead,
            blank_means := coalesce(item_rules.blank_means, 'blank'),
            null_tokens := coalesce(null_tokens.tokens, []::varchar[]),
            codes := coalesce(code_maps.codes, map([]::varchar[], []::varchar[]))
        ) as rule
    from item_rules
    inner join source_rules on item_rules.source = source_rules.source
    cross join as_of_day
    left join null_tokens on item_rules.source = null_tokens.source and item_rules.item = null_tokens.item
    left join code_maps on item_rules.source = code_maps.source and item_rules.item = code_maps.item
)

select * from final
