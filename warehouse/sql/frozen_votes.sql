-- One row a vote on these pairs by voters of one origin, and whether it counts: as `annotate.votes.counted` says it, the
-- latest of each known annotator about each pair, repeats left out, unless it says nothing.
-- Parameters: $pair_ids, $origin, $judge_keys: of models, those whose votes count, $left_out: annotators whose do not.
with cast_votes as (
    select
        *,
        is_known
        and purpose not in ('repeat', 'swapped_repeat')
        and case
            when origin = 'vlm' then coalesce(list_contains($judge_keys::varchar[], json_extract_string(raw, '$.judge_key')), false)
            else true
        end as may_count
    from vote
    where pair_id in (select unnest($pair_ids::varchar[])) and origin = $origin
)
select
    vote_id,
    pair_id,
    annotator,
    origin,
    outcome,
    may_count
    and outcome is not null
    and not list_contains($left_out::varchar[], annotator)
    and row_number() over (
        partition by pair_id, annotator, may_count order by epoch(cast_at::timestamptz) desc, vote_id desc
    ) = 1 as is_counted,
    purpose,
    is_swapped,
    cast_at,
    seconds
from cast_votes
order by vote_id
