-- One row a source that has an item without a fact in one of the stages. Parameter: $stages; reads `verdict`.
select distinct source_id
from verdict
where verdict = 'pending' and stage in (select unnest($stages::varchar[]))
order by source_id
