-- One row a vote on these pairs by voters of one origin. Parameters: $pair_ids, $origin.
select
    vote_id,
    pair_id,
    annotator,
    origin,
    outcome,
    is_known
    and outcome is not null
    and row_number() over (partition by pair_id, annotator, is_known order by cast_at desc, vote_id desc) = 1 as is_counted
from vote
where pair_id in (select unnest($pair_ids::varchar[])) and origin = $origin
order by vote_id
