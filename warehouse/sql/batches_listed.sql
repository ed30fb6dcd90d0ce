-- One row a batch of a data set's listing that need not be looked at again: all its files could be read, and all its sources
-- lie where this data set has them. With the bundles of annotations that they point to.
-- Parameters: $dataset, $unreadable (the words).
select
    listing.batch,
    list(distinct source.annotation_sha256) filter (where source.annotation_sha256 is not null) as bundles
from listing
left join source using (source_id)
where listing.dataset = $dataset and listing.batch is not null
group by listing.batch
having
    bool_and(listing.source_id is null or coalesce(source.dataset = listing.dataset, false))
    and bool_and(listing.own_problem is distinct from $unreadable)
