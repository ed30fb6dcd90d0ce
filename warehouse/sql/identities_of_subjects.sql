-- One row a subject: who it is, and in how many clips this person is. Parameter: $subject_ids.
with appearances as (
    select subject_identity.identity_id, count(distinct subject.clip_id) as num_clips
    from subject
    join subject_identity using (subject_id)
    group by subject_identity.identity_id
)
select subject_id, identity_id, num_clips
from subject_identity
join appearances using (identity_id)
where subject_id in (select unnest($subject_ids::varchar[]))
order by subject_id
