-- One row a stage at which something was measured since $since: what became of it, and how long it took. Reads `verdict`.
select
    v.stage,
    count(*) as num_in,
    count(*) filter (where v.verdict = 'passed') as passed,
    count(*) filter (where v.verdict = 'dropped') as dropped,
    count(*) filter (where v.verdict = 'failed') as failed,
    sum(l.seconds) as seconds
from verdict v
join ledger l on l.fact_key = v.fact_key and l.stage = v.stage
where l.committed_at >= $since and l.outcome in ('done', 'failed')
group by v.stage
