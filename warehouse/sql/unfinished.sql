-- One row an item that failed at a stage, or was reopened after it had. No parameters; reads `known`.
select source_id, item_id, stage, outcome, reason, attempt
from known
where outcome in ('failed', 'reopened')
order by source_id, item_id, stage
