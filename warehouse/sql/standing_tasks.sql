-- One row a task on which an answer stands, with the showing that it is (NULL: of nobody here). Parameter: $board.
with last_event as (
    select answer, arg_max(task, collection) as task, arg_max(kind, collection) as kind, max(showing_id) as showing_id
    from vote_event
    where board = $board
    group by answer
)
select task, max(showing_id) as showing_id
from last_event
where kind <> 'deleted'
group by task
order by task
