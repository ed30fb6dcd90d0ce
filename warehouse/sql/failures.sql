-- One row an item that failed at a stage. Parameter: $source_ids; reads `known`.
select source_id, item_id, stage, reason
from known
where outcome = 'failed' and source_id in (select unnest($source_ids::varchar[]))
order by source_id, item_id, stage
