-- One row a clip and a person in it. No parameters.
select distinct subject.clip_id, subject_identity.identity_id
from subject
join subject_identity using (subject_id)
order by subject.clip_id, subject_identity.identity_id
