-- One row: how many of each noun the warehouse holds.
select
    (select count(distinct source_id) from listing where source_id is not null) as sources,
    (select count(distinct clip_id) from clip) as clips,
    (select count(distinct subject_id) from subject) as subjects,
    (select count(distinct reference_id) from reference) as "references",
    (select count(distinct candidate_id) from candidate) as candidates,
    (select count(*) from pair) as pairs,
    (select count(*) from vote) as votes,
    (select count(*) from label where outcome is not null) as labels,
    (select count(*) from snapshot) as snapshots
