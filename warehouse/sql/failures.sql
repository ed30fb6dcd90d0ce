-- One row an item that failed at a stage. Parameter: $source_ids; reads `verdict`.
select source_id, item_id, stage, reason
from verdict
where verdict = 'failed' and list_contains($source_ids, source_id)
order by source_id, item_id, stage
