-- One row a source that a person may mean. Parameter: $name, the beginning of a clip or source id, or a part of a file's path.
select distinct source.source_id
from source
left join clip using (source_id)
where starts_with(clip.clip_id, $name) or starts_with(source.source_id, $name) or contains(source.path, $name)
order by source.source_id
