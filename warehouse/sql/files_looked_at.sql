-- One row a file of a data set that was read before, as it was then. Parameter: $dataset; reads `incoming` (path, offset).
select distinct path, "offset", num_bytes, mtime_ns, sha256
from listing
semi join incoming on listing.path = incoming.path and listing."offset" is not distinct from incoming."offset"
where dataset = $dataset and sha256 is not null
