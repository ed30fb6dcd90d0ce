-- One row a stage that an item reached: the verdict on it. Parameter: $item_ids; reads `verdict`.
select stage, noun, item_id, verdict, reason, fact_key
from verdict
where item_id in (select unnest($item_ids::varchar[]))
