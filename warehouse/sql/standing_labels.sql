-- One row: pairs with an outcome, an origin each. No parameters.
select count(distinct (pair_id, origin)) as num_labels
from label
where outcome is not null
