-- A source lies where the first entry that is it lies. Parameters: $dataset, $duplicate (the words).
update source
set path = listing.path, member = listing.member, "offset" = listing."offset"
from listing
where
    listing.dataset = $dataset
    and listing.problem is distinct from $duplicate
    and source.source_id = listing.source_id
    and source.dataset = $dataset
    and (
        source.path is distinct from listing.path
        or source.member is distinct from listing.member
        or source."offset" is distinct from listing."offset"
    )
