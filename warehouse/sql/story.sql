-- One row a stage that an item reached: the verdict on it. Parameter: $item_ids; reads `verdict`.
select stage, noun, item_id, verdict, reason, fact_key
from verdict
where list_contains($item_ids, item_id)
