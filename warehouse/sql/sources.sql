-- One row a source. Parameter: $source_ids.
select source_id, dataset, path, sha256, num_bytes, caption, extra, member, "offset", annotation_sha256, annotation_row
from source
where source_id in (select unnest($source_ids::varchar[]))
order by source_id
