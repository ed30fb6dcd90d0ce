-- One row an annotator: the latest vote on each pair, repeats left out, and how many say what the label says.
-- Parameters: $origin and $policies of the labels; reads `verdict`.
with votes as (
    select vote.*, label.outcome as settled
    from vote
    join pair using (pair_id)
    left join label
        on label.pair_id = vote.pair_id
        and list_contains($policies::varchar[], label.policy)
        and coalesce(label.origin, $origin) = $origin
    where
        vote.purpose not in ('repeat', 'swapped_repeat')
        and pair.clip_id in (select item_id from verdict where noun = 'clip')
    qualify row_number() over (
        partition by vote.pair_id, vote.annotator, vote.origin, vote.is_known
        order by epoch(vote.cast_at::timestamptz) desc, vote.vote_id desc
    ) = 1
)
select
    annotator as name,
    origin,
    is_known,
    count(*) as num_votes,
    count(*) filter (where outcome = 'A') as num_a,
    count(*) filter (where outcome = 'tie') as num_tie,
    count(*) filter (where outcome = 'B') as num_b,
    count(*) filter (where outcome is null) as num_broken,
    count(*) filter (where outcome is not null and settled is not null) as num_settled,
    count(*) filter (where outcome = settled) as num_with_label
from votes
group by annotator, origin, is_known
order by origin, annotator, is_known
