-- One row: the number of the last collection of a board that found something, 0 before the first. Parameter: $board.
select coalesce(max(collection), 0) as collection
from vote_event
where board = $board
