-- One row an item that failed at a stage, as the ledger last had it. Parameters: $stage, $reason (null: any); reads `verdict`.
select l.fact_key, l.stage, l.stage_key, l.item_id, l.reason, l.attempt
from ledger l
join verdict v on v.fact_key = l.fact_key and v.stage = l.stage
where v.verdict = 'failed' and v.stage = $stage and ($reason::varchar is null or v.reason = $reason)
qualify row_number() over (partition by l.fact_key order by l.attempt desc) = 1
order by l.item_id
