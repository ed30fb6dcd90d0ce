-- One row a split, outcome and reason: how many labels. Parameters: $origin, $policies; reads `verdict`.
select
    pair.split,
    label.outcome,
    coalesce(label.reason, 'no votes') as reason,
    count(*) as num_labels
from pair
left join label
    on label.pair_id = pair.pair_id
    and list_contains($policies::varchar[], label.policy)
    and coalesce(label.origin, $origin) = $origin
where pair.clip_id in (select item_id from verdict where noun = 'clip')
group by pair.split, label.outcome, coalesce(label.reason, 'no votes')
order by pair.split desc, label.outcome, reason
