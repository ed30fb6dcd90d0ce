-- One row: what labels rest on besides the votes of boards: how many pairs there are, which gold answers, and which votes
-- of models. No parameters.
select
    (select count(*) from pair) as num_pairs,
    (select coalesce(bit_xor(hash(pair_id, outcome)), 0)::varchar from gold) as gold,
    count(*) as num_votes,
    coalesce(bit_xor(hash(vote_id, outcome)), 0)::varchar as votes
from vote
where origin = 'vlm'
