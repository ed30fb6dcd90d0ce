-- One row a pair settled by votes of one origin, or by default, both of whose candidates passed a stage.
-- Parameters: $origin, $policies, $stage; reads `verdict`.
with passed as (select item_id from verdict where stage = $stage and verdict = 'passed')
select
    pair.pair_id,
    pair.clip_id,
    prompt.caption as prompt,
    pair.candidate_a,
    pair.candidate_b,
    pair.kind,
    label.outcome,
    label.num_votes,
    label.origin,
    label.policy
from pair
join label using (pair_id)
join (select distinct clip.clip_id, source.caption from clip join source using (source_id)) as prompt using (clip_id)
where
    label.outcome is not null
    and list_contains($policies::varchar[], label.policy)
    and coalesce(label.origin, $origin) = $origin
    and pair.candidate_a in (select item_id from passed)
    and pair.candidate_b in (select item_id from passed)
order by pair.pair_id
