-- One row a source that a person may mean. Parameter: $name, the beginning of a clip or source id, or a part of a file's path
-- or of an entry's name.
select distinct source.source_id
from source
left join clip using (source_id)
where
    starts_with(clip.clip_id, $name)
    or starts_with(source.source_id, $name)
    or contains(source.path, $name)
    or source.source_id in (select source_id from listing where contains(entry, $name))
order by source.source_id
