-- One row an answer whose last event says that a vote stands which does not. No parameters.
with last_event as (
    select *
    from vote_event
    qualify row_number() over (partition by board, answer order by collection desc) = 1
)
select event_id, board, answer, vote_id
from last_event
anti join vote using (vote_id)
where kind <> 'deleted' and vote_id is not null
order by event_id
