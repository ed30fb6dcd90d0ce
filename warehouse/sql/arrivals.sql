-- One row a remark about what arrived: how many entries of the listing. Parameter: $dataset (null: all).
select coalesce(problem, 'source') as arrival, count(*) as num_entries
from listing
where $dataset::varchar is null or dataset = $dataset
group by arrival
order by num_entries desc, arrival
