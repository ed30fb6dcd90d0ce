-- One row an origin of votes on these pairs, null for all. Parameter: $pair_ids.
select distinct origin
from vote
where $pair_ids::varchar[] is null or pair_id in (select unnest($pair_ids::varchar[]))
order by origin
