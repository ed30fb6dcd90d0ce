-- One row a generator: how clips' originals fared against it, over pairs settled by votes. Parameters: $origin, $policies; reads `verdict`.
with candidates as (select distinct candidate_id, generator from candidate),
settled as (
    select
        case when a.generator = 'original' then b.generator else a.generator end as generator,
        case when label.outcome = 'tie' then 'tie'
            when (label.outcome = 'A') = (a.generator = 'original') then 'won'
            else 'lost' end as original
    from label
    join pair using (pair_id)
    join candidates as a on a.candidate_id = pair.candidate_a
    join candidates as b on b.candidate_id = pair.candidate_b
    where pair.kind = 'original_vs_generated'
        and label.outcome is not null
        and label.origin = $origin
        and list_contains($policies::varchar[], label.policy)
        and pair.clip_id in (select item_id from verdict where noun = 'clip')
)
select
    generator,
    count(*) filter (where original = 'won') as original_won,
    count(*) filter (where original = 'tie') as tie,
    count(*) filter (where original = 'lost') as original_lost
from settled
group by generator
order by generator
