-- One row a pair in play with judges' inferences that have not voted on it. Parameters: $stage, $kinds: of pairs that are
-- asked about, $judge_keys; reads `verdict`.
with passed as (select item_id from verdict where stage = $stage and verdict = 'passed'),
in_play as (
    select pair_id
    from pair
    where
        kind in (select unnest($kinds::varchar[]))
        and candidate_a in (select item_id from passed)
        and candidate_b in (select item_id from passed)
),
wanted as (select pair_id, unnest($judge_keys::varchar[]) as judge_key from in_play),
standing as (
    select pair_id, json_extract_string(raw, '$.judge_key') as judge_key
    from vote
    where origin = 'vlm'
)
select pair_id, list(judge_key order by judge_key) as judge_keys
from wanted
anti join standing using (pair_id, judge_key)
group by pair_id
order by pair_id
