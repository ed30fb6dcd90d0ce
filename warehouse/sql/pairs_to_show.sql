-- One row a pair that stands for others: the first by id with a winner, with a tie, and without a label; of candidates
-- that are current, if there are such pairs.
-- Parameters: $origin, $policies; reads `verdict`.
with clips as (
    select distinct
        clip.clip_id,
        clip.start_frame,
        clip.end_frame,
        source.source_id,
        source.path,
        source.member,
        source."offset",
        source.num_bytes,
        source.caption
    from clip
    join verdict on verdict.item_id = clip.clip_id
    join source on source.source_id = clip.source_id
),
candidates as (select distinct candidate_id, generator, severity, sha256 from candidate),
current as (select distinct item_id from verdict where noun = 'candidate'),
labelled as (
    select
        pair.*,
        label.outcome,
        coalesce(label.reason, 'no votes') as reason,
        case when label.outcome is null then 3 when label.outcome = 'tie' then 2 else 1 end as sort_of_label,
        (pair.candidate_a in (select item_id from current))::int
        + (pair.candidate_b in (select item_id from current))::int as num_current
    from pair
    left join label
        on label.pair_id = pair.pair_id
        and list_contains($policies::varchar[], label.policy)
        and coalesce(label.origin, $origin) = $origin
    where pair.clip_id in (select clip_id from clips)
)
select
    labelled.*,
    clips.source_id,
    clips.path,
    clips.member,
    clips."offset",
    clips.num_bytes,
    clips.caption,
    clips.start_frame,
    clips.end_frame,
    a.generator as generator_a,
    a.severity as severity_a,
    a.sha256 as sha256_a,
    b.generator as generator_b,
    b.severity as severity_b,
    b.sha256 as sha256_b
from labelled
join clips using (clip_id)
join candidates as a on a.candidate_id = labelled.candidate_a
join candidates as b on b.candidate_id = labelled.candidate_b
qualify row_number() over (partition by sort_of_label order by labelled.num_current desc, labelled.pair_id) = 1
order by sort_of_label
