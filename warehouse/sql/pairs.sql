-- One row a pair of these, null for all. Parameter: $pair_ids.
select *
from pair
where $pair_ids::varchar[] is null or pair_id in (select unnest($pair_ids::varchar[]))
order by pair_id
