-- One row a remark about what arrived: how many entries of the listing. An entry whose path was repaired is counted twice:
-- for what it is, and as a repaired path. Parameter: $dataset (null: all).
with entries as (
    select problem, repaired_from from listing where $dataset::varchar is null or dataset = $dataset
),
remarks as (
    select coalesce(problem, 'source') as arrival from entries
    union all
    select 'repaired path' from entries where repaired_from is not null
)
select arrival, count(*) as num_entries
from remarks
group by arrival
order by arrival = 'source' desc, num_entries desc, arrival
