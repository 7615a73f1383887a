{{ config(materialized='table', schema='marts') }}

{#
  What hospitals noticed of each child, flag by flag: shown beside the list that a flag heads, and on the child's page. Only
  what consent and linkage open; no name, no free text but the department that can be asked.
#}
select
    x.child_id,
    f.flagged_on,
    f.flag,
    f.severity,
    f.severity__status,
    f.department,
    f.source_record_id,
    f._source_file_sha256 as source_file_sha256,
    f._row_number as source_row_number,
    f._extract_date as extract_date
from {{ ref('stg_medical__flag') }} as f
inner join {{ ref('lnk_crosswalk') }} as x
    on x.source = 'medical.flag' and f.source_record_id = x.source_record_id
cross join {{ source('cfg', 'run') }} as r
where x.child_id is not null and f.flagged_on <= r.as_of_date
order by x.child_id asc, f.flagged_on desc, f.flag asc
