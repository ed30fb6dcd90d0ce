-- One row a source on which something was measured since $since: the seconds it took. Reads `verdict`.
select v.source_id, sum(l.seconds) as seconds
from verdict v
join ledger l on l.fact_key = v.fact_key and l.stage = v.stage
where l.committed_at >= $since and l.outcome in ('done', 'failed')
group by v.source_id
order by v.source_id
