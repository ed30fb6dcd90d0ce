-- One row an answer of which one collection holds several events, so that their order is lost. No parameters.
select board, answer, collection, count(*) as times
from vote_event
group by board, answer, collection
having count(*) > 1
order by board, answer, collection
