-- One row a vote of a person, real or simulated, that is not what the last event of its answer says. No parameters.
with last_event as (
    select *
    from vote_event
    qualify row_number() over (partition by board, answer order by collection desc) = 1
)
select vote.vote_id, vote.pair_id, vote.annotator, vote.outcome
from vote
anti join last_event
    on last_event.vote_id = vote.vote_id
    and last_event.kind <> 'deleted'
    and last_event.pair_id = vote.pair_id
    and last_event.annotator = vote.annotator
    and last_event.outcome is not distinct from vote.outcome
where vote.origin <> 'vlm'
order by vote.vote_id
