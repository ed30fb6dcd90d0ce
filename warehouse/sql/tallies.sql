-- One row a tally of counted votes: how many pairs have it. Parameters: $origin, $policies; reads `verdict`.
select label.num_a, label.num_tie, label.num_b, count(*) as num_pairs
from label
join pair using (pair_id)
where label.origin = $origin
    and list_contains($policies::varchar[], label.policy)
    and pair.clip_id in (select item_id from verdict where noun = 'clip')
group by label.num_a, label.num_tie, label.num_b
order by label.num_a, label.num_tie, label.num_b
