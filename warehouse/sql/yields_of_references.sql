-- One row a synthesizer and view, and one for all views of a synthesizer. Parameter: $keep_from; reads `verdict`.
with made as (
    select * from reference where fact_key in (select fact_key from verdict)
),
asked as (
    select count(distinct subject_id) as num_subjects from made
)
select
    synthesizer,
    "view",
    grouping("view") = 1 as is_total,
    bool_or(is_resynthesised) as is_resynthesised,
    count(distinct "view") * any_value(num_subjects) as num_asked,
    count(*) as num_made,
    count(identity_score) as num_comparable,
    count(*) filter (identity_score >= $keep_from) as num_kept,
    count(*) filter (is_chosen) as num_chosen,
    avg(identity_score) as identity_score_mean,
    avg(copy_paste_score) as copy_paste_mean
from made
cross join asked
group by grouping sets ((synthesizer, "view"), (synthesizer))
having grouping("view") = 0 or count(distinct "view") > 1
order by synthesizer nulls first, is_total, num_kept / num_made desc, "view"
