-- One row a noun and sort: what frozen pairs come from, how many there are, the first three ids.
-- Parameters: $train, $test, $votes, $candidates, $clips: lists of a snapshot's Parquet files.
with frozen_pairs as (
    select 'train' as split, * from read_parquet($train)
    union all by name
    select 'test' as split, * from read_parquet($test)
),
frozen_candidates as (
    select distinct candidate_id, generator
    from read_parquet($candidates)
    where candidate_id in (select unnest([candidate_a, candidate_b]) from frozen_pairs)
),
frozen_clips as (
    select distinct clip_id, source_id
    from read_parquet($clips)
    where clip_id in (select clip_id from frozen_pairs)
),
rows_of_nouns as (
    select 1 as place, 'label' as noun, case outcome when 1 then 'ties' else 'with a winner' end as sort, pair_id as item_id from frozen_pairs
    union all
    select 2, 'vote', origin || case when is_counted then '' else ', not counted' end, vote_id from read_parquet($votes)
    union all
    select 3, 'pair', split, pair_id from frozen_pairs
    union all
    select 4, 'candidate', case generator when 'original' then 'originals' else 'made from them' end, candidate_id from frozen_candidates
    union all
    select 5, 'clip', '', clip_id from frozen_clips
    union all
    select 6, 'source', case when source.source_id is null then 'no longer in the warehouse' else '' end, frozen_clips.source_id
    from frozen_clips
    left join (select distinct source_id from source) as source using (source_id)
)
select noun, sort, count(distinct item_id) as num_items, list_slice(list_sort(list_distinct(list(item_id))), 1, 3) as first_ids
from rows_of_nouns
group by place, noun, sort
order by place, sort desc
