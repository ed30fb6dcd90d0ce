-- One row a vote. Parameter: $pair_ids.
select *
from vote
where pair_id in (select unnest($pair_ids::varchar[]))
order by pair_id, origin, annotator, cast_at, vote_id
