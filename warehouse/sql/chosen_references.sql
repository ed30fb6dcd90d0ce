-- One row a subject of a clip: the file of the reference that was chosen to stand for it. Parameter: $clip_ids (null: all
-- clips); reads `verdict`.
with current as (select distinct fact_key from verdict)
select reference.clip_id, subject.subject_index, reference.sha256
from reference
join subject using (subject_id)
where
    reference.is_chosen
    and reference.fact_key in (select fact_key from current)
    and subject.fact_key in (select fact_key from current)
    and ($clip_ids is null or reference.clip_id in (select unnest($clip_ids::varchar[])))
qualify row_number() over (partition by subject_id order by reference_id desc) = 1
order by reference.clip_id, subject.subject_index
