-- One row a source with something left to measure. No parameters; reads `pending_source`.
select s.*
from source s
semi join pending_source using (source_id)
order by source_id
