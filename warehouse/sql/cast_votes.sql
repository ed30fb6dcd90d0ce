-- One row a vote of one origin as it stands, and whether it counts: as `annotate.votes.counted` says it, the latest of each
-- known annotator about each pair, repeats left out, unless it says nothing.
-- Parameters: $origin; $judge_keys: of models, those whose votes count; $dataset: whose pairs, $pair_ids: which; null for
-- all.
with cast_votes as (
    select
        vote.*,
        epoch(vote.cast_at::timestamptz) as at_s,
        vote.is_known
        and case
            when vote.origin = 'vlm' then coalesce(list_contains($judge_keys::varchar[], json_extract_string(vote.raw, '$.judge_key')), false)
            else true
        end as is_of_roll
    from vote
    join pair using (pair_id)
    where
        vote.origin = $origin
        and ($pair_ids::varchar[] is null or vote.pair_id in (select unnest($pair_ids::varchar[])))
        and (
            $dataset::varchar is null
            or pair.clip_id in (
                select clip.clip_id from clip join source using (source_id) where source.dataset = $dataset
            )
        )
),
ranked as (
    select
        *,
        is_of_roll and purpose not in ('repeat', 'swapped_repeat') as may_count,
        row_number() over (
            partition by pair_id, annotator, is_of_roll and purpose not in ('repeat', 'swapped_repeat')
            order by at_s desc, vote_id desc
        ) as place
    from cast_votes
)
select
    pair_id,
    annotator,
    outcome,
    purpose,
    is_swapped,
    is_of_roll as is_known,
    may_count and place = 1 and outcome is not null as is_counted,
    seconds,
    at_s
from ranked
order by pair_id, annotator, at_s, vote_id
