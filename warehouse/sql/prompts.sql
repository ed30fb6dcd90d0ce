-- One row a clip: the text that its candidates are made from. No parameters.
select distinct clip.clip_id, clip.source_id, source.caption as prompt
from clip
join source using (source_id)
order by clip.clip_id
