-- One row a label with an outcome but no votes of any origin, unless an original won by default against what was
-- generated beside it. No parameters.
select label.pair_id, label.policy, label.outcome
from label
left join pair using (pair_id)
left join (select distinct candidate_id from candidate where generator = 'original') as original
    on original.candidate_id = case label.outcome when 'A' then pair.candidate_a when 'B' then pair.candidate_b end
where
    label.origin is null
    and label.outcome is not null
    and (
        label.policy <> 'original_by_default'
        or label.num_votes <> 0
        or coalesce(pair.kind, '') <> 'original_vs_generated'
        or original.candidate_id is null
    )
order by label.pair_id
