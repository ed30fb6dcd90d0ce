-- One row a pair both of whose candidates passed a stage. Parameter: $stage; reads `verdict`.
with passed as (select item_id from verdict where stage = $stage and verdict = 'passed')
select pair.*
from pair
where candidate_a in (select item_id from passed) and candidate_b in (select item_id from passed)
order by pair_id
