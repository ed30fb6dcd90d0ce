-- One row a candidate of these pairs. Parameter: $pair_ids.
with wanted as (
    select unnest([candidate_a, candidate_b]) as candidate_id
    from pair
    where pair_id in (select unnest($pair_ids::varchar[]))
)
select *
from candidate
where candidate_id in (select candidate_id from wanted)
qualify row_number() over (partition by candidate_id order by fact_key) = 1
order by candidate_id
