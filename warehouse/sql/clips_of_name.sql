-- One row a clip that a person may mean. Parameter: $name, the beginning of a clip or source id, or a part of the file's path.
select distinct clip.clip_id, clip.source_id, source.path
from clip
join source using (source_id)
where starts_with(clip.clip_id, $name) or starts_with(clip.source_id, $name) or contains(source.path, $name)
order by source.path, clip.clip_id
