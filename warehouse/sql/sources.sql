-- One row a source. Parameter: $source_ids.
select source_id, dataset, path, sha256, num_bytes, caption, extra
from source
where list_contains($source_ids, source_id)
order by source_id
