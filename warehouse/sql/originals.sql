-- One row a candidate of these that is its clip's own video. Parameter: $candidate_ids.
select distinct candidate_id
from candidate
where generator = 'original' and candidate_id in (select unnest($candidate_ids::varchar[]))
order by candidate_id
