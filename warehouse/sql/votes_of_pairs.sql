-- One row a vote. Parameter: $pair_ids.
select *
from vote
where list_contains($pair_ids, pair_id)
order by pair_id, origin, annotator, cast_at, vote_id
