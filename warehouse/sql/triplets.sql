-- One row a clip that passed a stage: its text, its people from left to right, each with the chosen reference (null where
-- there is none), its original among the candidates (null where none was made), and where its source lies.
-- Parameter: $stage; reads `verdict` and `candidate_window`.
with current as (select distinct fact_key from verdict),
passed as (select distinct item_id as clip_id from verdict where stage = $stage and verdict = 'passed'),
clips as (
    select clip.*
    from clip
    join passed using (clip_id)
    where clip.fact_key in (select fact_key from current)
),
chosen as (select * from reference where is_chosen and fact_key in (select fact_key from current)),
people as (
    select
        subject.clip_id,
        list(
            {
                'subject_id': subject.subject_id,
                'subject_index': subject.subject_index,
                'identity_id': subject_identity.identity_id,
                'phrase': subject.phrase,
                'view': chosen."view",
                'is_resynthesised': chosen.is_resynthesised,
                'identity_score': chosen.identity_score,
                'sha256': chosen.sha256
            }
            order by subject.subject_index
        ) as people
    from subject
    left join chosen using (subject_id)
    left join subject_identity using (subject_id)
    where subject.fact_key in (select fact_key from current)
    group by subject.clip_id
),
originals as (
    select candidate.clip_id, candidate.sha256, candidate_window.first_frame, candidate_window.num_frames
    from candidate
    join candidate_window using (fact_key)
    where candidate.generator = 'original'
)
select
    clips.clip_id,
    clips.source_id,
    source.caption as prompt,
    people.people,
    clips.start_frame,
    clips.end_frame,
    clips.frame_rate.num as frame_rate_num,
    clips.frame_rate.den as frame_rate_den,
    originals.sha256 as original_sha256,
    originals.first_frame,
    originals.num_frames,
    source.path,
    source.member,
    source."offset",
    source.num_bytes,
    source.sha256
from clips
join source using (source_id)
left join people on people.clip_id = clips.clip_id
left join originals on originals.clip_id = clips.clip_id
order by clips.clip_id
