-- One row a candidate with what was seen in it. Parameters: $clip_ids, $candidate_ids (null: all of these clips); reads
-- `verdict`.
select
    candidate.candidate_id,
    candidate.clip_id,
    candidate.generator,
    candidate.severity,
    candidate.sha256,
    seen.num_frames,
    seen.frame_rate_num,
    seen.frame_rate_den,
    seen.width_px,
    seen.height_px,
    seen.sharpness,
    seen.flicker,
    seen.motion,
    seen.looked_frames,
    seen.face_frames,
    seen.face_subjects,
    seen.face_vectors
from candidate
join verdict on verdict.item_id = candidate.candidate_id and verdict.stage = 'likeness' and verdict.verdict = 'passed'
join fact_likeness as seen on seen.fact_key = verdict.fact_key
where
    candidate.clip_id in (select unnest($clip_ids::varchar[]))
    and ($candidate_ids is null or candidate.candidate_id in (select unnest($candidate_ids::varchar[])))
    and candidate.fact_key in (select fact_key from verdict)
order by candidate.candidate_id
