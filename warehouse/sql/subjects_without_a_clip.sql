-- One row a subject of a clip that the warehouse does not hold. No parameters.
select subject_id, clip_id from subject anti join clip using (clip_id) order by subject_id
