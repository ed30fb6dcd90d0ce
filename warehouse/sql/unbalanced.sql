-- One row an item that a stage counted more than once, so that in = passed + dropped + failed is not to be had. Reads `verdict`.
select stage, item_id, count(*) as times
from verdict
group by stage, item_id
having count(*) > 1
order by stage, item_id
