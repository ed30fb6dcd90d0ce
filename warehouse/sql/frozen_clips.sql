-- One row a clip. Parameter: $clip_ids; reads `verdict`.
select
    clip.clip_id,
    clip.source_id,
    source.caption as prompt,
    (
        select count(*) from subject
        where subject.clip_id = clip.clip_id and subject.fact_key in (select fact_key from verdict)
    ) as num_subjects
from clip
join source using (source_id)
where clip.clip_id in (select unnest($clip_ids::varchar[])) and clip.fact_key in (select fact_key from verdict)
order by clip.clip_id
