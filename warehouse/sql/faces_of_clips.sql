-- One row a clip with faces: the part of its picture in which they all are at their key frames, in shares of its size.
-- Parameter: $clip_ids; reads `verdict`.
with current as (select distinct fact_key from verdict),
faces as (
    select subject.clip_id, subject.face_box_px as box, clip.width_px, clip.height_px
    from subject
    join clip using (clip_id)
    where
        subject.face_box_px is not null
        and subject.fact_key in (select fact_key from current)
        and clip.fact_key in (select fact_key from current)
        and subject.clip_id in (select unnest($clip_ids::varchar[]))
)
select
    clip_id,
    min(box[1]) / any_value(width_px) as x,
    min(box[2]) / any_value(height_px) as y,
    (max(box[3]) - min(box[1])) / any_value(width_px) as w,
    (max(box[4]) - min(box[2])) / any_value(height_px) as h
from faces
group by clip_id
order by clip_id
