-- One row a pair settled by votes of one origin. Parameters: $origin, $policy.
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
where label.outcome is not null and label.origin = $origin and label.policy = $policy
order by pair.pair_id
