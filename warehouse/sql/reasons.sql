-- One row a stage, verdict and reason: how many items were dropped or failed for it. No parameters; reads `verdict`.
select stage, verdict, reason, count(*) as num_items
from verdict
where verdict in ('dropped', 'failed')
group by stage, verdict, reason
order by stage, verdict, num_items desc, reason
