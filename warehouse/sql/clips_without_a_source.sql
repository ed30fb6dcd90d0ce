-- One row a clip of a source that the warehouse does not hold. No parameters.
select clip_id, source_id from clip anti join source using (source_id) order by clip_id
