-- One row a pair. Parameter: $among: ids to look for, null for all.
select pair_id
from pair
where $among::varchar[] is null or pair_id in (select unnest($among::varchar[]))
order by pair_id
