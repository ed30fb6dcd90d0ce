-- One row an entry of the listing that is no source, and that a person may mean. Parameter: $name, a part of the entry's
-- name or of its path as the data set spells it.
select dataset, entry, problem, repaired_from
from listing
where source_id is null and (contains(entry, $name) or contains(coalesce(repaired_from, ''), $name))
order by dataset, entry
limit 20
