-- One row: what the last failed attempt at a fact ran into. Parameter: $fact_key.
select exception from ledger where fact_key = $fact_key and outcome = 'failed' order by attempt desc limit 1
