-- One row a split, outcome and reason: how many labels. Parameters: $origin, $policy; reads `verdict`.
select
    pair.split,
    label.outcome,
    coalesce(label.reason, 'no votes') as reason,
    count(*) as num_labels
from pair
left join label on label.pair_id = pair.pair_id and label.origin = $origin and label.policy = $policy
where pair.clip_id in (select item_id from verdict where noun = 'clip')
group by pair.split, label.outcome, coalesce(label.reason, 'no votes')
order by pair.split desc, label.outcome, reason
