-- One row a showing of these. Parameters: $board, $showing_ids.
select *
from showing
where board = $board and showing_id in (select unnest($showing_ids::varchar[]))
order by showing_id
