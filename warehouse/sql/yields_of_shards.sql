-- One row a stage and shard: how many items it measured and how many of them pass today's gates. Parameter: $since,
-- from which on a shard is new; reads `verdict`.
select
    v.stage,
    l.shard_id,
    min(l.committed_at) >= $since as is_new,
    count(*) as num_in,
    count(*) filter (where v.verdict = 'passed') as num_passed
from verdict v
join ledger l on l.fact_key = v.fact_key and l.stage = v.stage
where l.outcome in ('done', 'failed')
group by v.stage, l.shard_id
order by v.stage, l.shard_id
