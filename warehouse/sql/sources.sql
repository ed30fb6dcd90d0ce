-- One row a source. Parameter: $source_ids.
select source_id, dataset, path, sha256, num_bytes, caption, extra
from source
where source_id in (select unnest($source_ids::varchar[]))
order by source_id
