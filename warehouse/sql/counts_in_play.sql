-- One row: how many of each noun belong to what was judged. No parameters; reads `verdict`.
with current as (select distinct fact_key from verdict),
clips as (select distinct item_id as clip_id from verdict where noun = 'clip'),
pairs as (select pair_id from pair where clip_id in (select clip_id from clips)),
subjects as (select distinct subject_id from subject where fact_key in (select fact_key from current))
select
    (select count(distinct source_id) from verdict) as sources,
    (select count(*) from clips) as clips,
    (select count(*) from subjects) as subjects,
    (select count(distinct identity_id) from subject_identity where subject_id in (select subject_id from subjects)) as identities,
    (select count(distinct reference_id) from reference where fact_key in (select fact_key from current)) as refs,
    (select count(distinct candidate_id) from candidate where fact_key in (select fact_key from current)) as candidates,
    (select count(*) from pairs) as pairs,
    (select count(*) from vote where pair_id in (select pair_id from pairs)) as votes
