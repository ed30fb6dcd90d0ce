-- Entries that are the same source as an earlier one say so; all others say what was wrong with them by themselves.
-- Parameters: $dataset, $duplicate (the words).
update listing
set problem = marked.problem
from (
    select
        entry,
        place,
        batch,
        case
            when source_id is not null and row_number() over (partition by source_id order by entry, batch, place) > 1
            then $duplicate
            else own_problem
        end as problem
    from listing
    where dataset = $dataset
) as marked
where
    listing.dataset = $dataset
    and listing.batch = marked.batch
    and listing.place = marked.place
    and listing.problem is distinct from marked.problem
