-- One row a candidate that passed a stage. Parameter: $stage; reads `verdict`.
select candidate.*
from candidate
join verdict on verdict.item_id = candidate.candidate_id
where verdict.stage = $stage and verdict.verdict = 'passed'
qualify row_number() over (partition by candidate.candidate_id order by candidate.fact_key) = 1
order by candidate.candidate_id
