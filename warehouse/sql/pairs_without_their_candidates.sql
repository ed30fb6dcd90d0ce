-- One row a pair one of whose candidates the warehouse does not hold. No parameters.
select pair_id, candidate_a, candidate_b
from pair
where
    candidate_a not in (select candidate_id from candidate)
    or candidate_b not in (select candidate_id from candidate)
order by pair_id
