-- Records whose address must not be shown (支援措置: it is hidden from a violent person). This is the one place that
-- decides; whoever prints, exports or publishes asks here (kodomo_platform.protection). A code that cannot be read or
-- is on no list protects until it is corrected. One protected person protects whoever lives with them, every record
-- linked to one of them or bearing one of their numbers, and every record with one of their addresses.
with ground as (
    select
        staged.source_record_id,
        staged.household_number,
        case when staged.protection_measure = 'active' then 'measure' else 'unreadable' end as ground
    from {{ ref('stg_resident__register') }} as staged
    where staged.protection_measure = 'active' or staged.protection_measure__status = 'unreadable'
),

-- who lives with them
person as (
    select
        staged.source_record_id,
        staged.address_match,
        coalesce(ground.ground, 'household') as ground
    from {{ ref('stg_resident__register') }} as staged
    left join ground on staged.source_record_id = ground.source_record_id
    where
        ground.source_record_id is not null
        or staged.household_number in (
            select with_them.household_number
            from ground as with_them
            where with_them.household_number <> ''
        )
),

-- what is linked to one of them, or bears one of their numbers
record as (
    select
        'resident.register' as source,
        person.source_record_id,
        person.ground
    from person
    union all
    select
        linked.source,
        linked.source_record_id,
        'linked' as ground
    from person
    inner join {{ ref('lnk_cluster') }} as own
        on own.source = 'resident.register' and person.source_record_id = own.source_record_id
    inner join {{ ref('lnk_cluster') }} as linked
        on own.cluster_source = linked.cluster_source and own.cluster_record = linked.cluster_record
    union all
    select
        lnk_identity.source,
        lnk_identity.source_record_id,
        'number' as ground
    from person
    inner join {{ ref('lnk_identity') }} as lnk_identity on person.source_record_id = lnk_identity.resident_number
),

-- every address that one of them is known to have
address as (
    select person.address_match
    from person
    where person.address_match is not null
    union
    select lnk_identity.address_match
    from record
    inner join {{ ref('lnk_identity') }} as lnk_identity
        on record.source = lnk_identity.source and record.source_record_id = lnk_identity.source_record_id
    where lnk_identity.address_match is not null
),

final as (
    select
        record.source,
        record.source_record_id,
        record.ground
    from record
    union all
    select
        lnk_identity.source,
        lnk_identity.source_record_id,
        'address' as ground
    from {{ ref('lnk_identity') }} as lnk_identity
    inner join address on lnk_identity.address_match = address.address_match
)

select
    final.source,
    final.source_record_id,
    -- the nearest ground, for whoever asks why
    arg_min(
        final.ground, list_position(['measure', 'unreadable', 'household', 'linked', 'number', 'address'], final.ground)
    ) as ground
from final
group by final.source, final.source_record_id
