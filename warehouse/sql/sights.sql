-- One row a candidate whose likeness was measured: what a judge may look at. No parameters; reads `verdict`.
select
    verdict.item_id as candidate_id,
    fact_likeness.identity_mean,
    fact_likeness.identity_min,
    fact_likeness.sharpness,
    fact_likeness.flicker
from fact_likeness
join verdict using (fact_key)
order by candidate_id
