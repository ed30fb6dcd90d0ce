-- One row a pair of a clip: its votes and its labels in words. Parameter: $clip_id.
with cast_votes as (
    select
        pair_id,
        string_agg(
            annotator
            || ' '
            || coalesce(outcome, case origin when 'vlm' then 'abstained' else 'broken' end)
            || case when purpose in ('repeat', 'swapped_repeat') then ' when asked again' else '' end,
            ', ' order by annotator, cast_at
        ) as votes
    from vote
    group by pair_id
),
labels as (
    select
        pair_id,
        string_agg(
            coalesce(origin, 'nobody') || ': ' || coalesce(outcome, 'not settled') || ' (' || reason || ')', ', ' order by origin
        ) as label
    from label
    group by pair_id
)
select
    pair.pair_id,
    pair.candidate_a,
    pair.candidate_b,
    coalesce(cast_votes.votes, 'none') as votes,
    coalesce(labels.label, 'no label') as label
from pair
left join cast_votes using (pair_id)
left join labels using (pair_id)
where pair.clip_id = $clip_id
order by pair.pair_id
