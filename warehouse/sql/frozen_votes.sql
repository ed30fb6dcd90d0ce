-- One row a vote on these pairs by voters of one origin. Parameters: $pair_ids, $origin, $judge_keys: of models, those
-- whose votes count.
with cast_votes as (
    select
        *,
        is_known and (origin <> 'vlm' or json_extract_string(raw, '$.judge_key') in (select unnest($judge_keys::varchar[]))) as is_of_roll
    from vote
    where pair_id in (select unnest($pair_ids::varchar[])) and origin = $origin
)
select
    vote_id,
    pair_id,
    annotator,
    origin,
    outcome,
    is_of_roll
    and outcome is not null
    and row_number() over (partition by pair_id, annotator, is_of_roll order by cast_at desc, vote_id desc) = 1 as is_counted
from cast_votes
order by vote_id
