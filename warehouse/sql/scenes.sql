-- One row a clip whose subjects have references, the first $most; clips of one, two and more subjects take turns.
-- Parameter: $most; reads `verdict`.
with current as (select distinct fact_key, source_id from verdict),
subjects as (select distinct subject.clip_id, subject.subject_id from subject join current using (fact_key)),
clips as (
    select
        clip.clip_id,
        current.source_id,
        clip.start_frame,
        clip.end_frame,
        clip."start",
        clip."end",
        clip.width_px,
        clip.height_px
    from clip
    join current using (fact_key)
    qualify row_number() over (partition by clip.clip_id order by clip.fact_key) = 1
),
crowds as (
    select clip_id, count(*) as num_subjects
    from subjects
    where clip_id in (select reference.clip_id from reference join current using (fact_key))
    group by clip_id
),
ranked as (
    select *, row_number() over (partition by num_subjects order by clip_id) as turn, count(*) over () as num_scenes
    from crowds
)
select
    clips.*,
    source.path,
    source.member,
    source."offset",
    source.num_bytes,
    source.caption,
    ranked.num_scenes
from ranked
join clips using (clip_id)
join source using (source_id)
order by ranked.turn, ranked.num_subjects, clips.clip_id
limit $most
