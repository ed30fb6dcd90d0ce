-- One row an item that was dropped or failed, the first $most by id of each stage and reason, with where it comes from.
-- Parameter: $most; reads `verdict`.
with shown as (
    select *
    from verdict
    where verdict in ('dropped', 'failed')
    qualify row_number() over (partition by stage, verdict, reason order by item_id) <= $most
),
attempts as (
    select fact_key, exception
    from ledger
    where fact_key in (select fact_key from shown)
    qualify row_number() over (partition by fact_key order by attempt desc) = 1
),
clips as (select distinct clip_id, start_frame, end_frame, "start", "end" from clip),
candidates as (select distinct candidate_id, clip_id, sha256 from candidate)
select
    shown.stage,
    shown.noun,
    shown.item_id,
    shown.source_id,
    shown.verdict,
    shown.reason,
    attempts.exception,
    source.path,
    source.member,
    source."offset",
    source.num_bytes,
    clips.start_frame,
    clips.end_frame,
    clips."start",
    clips."end",
    candidates.sha256 as candidate_sha256
from shown
join source using (source_id)
left join attempts using (fact_key)
left join candidates on candidates.candidate_id = shown.item_id
left join clips on clips.clip_id = coalesce(candidates.clip_id, shown.item_id)
order by shown.stage, shown.verdict, shown.reason, shown.item_id
