-- One row a reference, with the person it shows. Parameter: $clip_ids; reads `verdict`.
select
    reference.reference_id,
    reference.clip_id,
    reference.subject_id,
    subject.subject_index,
    subject_identity.identity_id,
    reference."view",
    reference.is_resynthesised,
    reference.is_chosen,
    reference.sha256,
    reference.identity_score,
    reference.copy_paste_score,
    reference.identity_vector as vector
from reference
join subject using (subject_id)
join subject_identity using (subject_id)
where
    reference.clip_id in (select unnest($clip_ids::varchar[]))
    and reference.fact_key in (select fact_key from verdict)
    and subject.fact_key in (select fact_key from verdict)
order by reference.reference_id
