-- One row an answer ever seen on these tasks: its last event, tombstones too. Parameters: $board, $tasks.
select *
from vote_event
where board = $board and task in (select unnest($tasks::bigint[]))
qualify row_number() over (partition by answer order by collection desc) = 1
order by task, answer
