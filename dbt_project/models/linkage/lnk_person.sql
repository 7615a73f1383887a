-- Every person of the register, adults too (child_id is null for them), with the household they live in.
select
    lnk_cluster.source,
    lnk_cluster.source_record_id,
    lnk_cluster.child_id,
    lnk_cluster.household_id,
    lnk_cluster.relationship,
    lnk_cluster.child_id is not null as is_child
from {{ ref('lnk_cluster') }} as lnk_cluster
where lnk_cluster.source = 'resident.register'
