-- Changes one row a showing of these pairs on one board. Parameters: $board, $pair_ids.
update showing
set is_withdrawn = true
where board = $board and not is_withdrawn and pair_id in (select unnest($pair_ids::varchar[]))
