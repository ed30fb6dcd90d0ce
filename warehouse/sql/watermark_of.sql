-- At most one row: how far a board was read. Parameter: $board.
select board, mark, reconciled_at
from watermark
where board = $board
