-- One row: the snapshot frozen last. No parameters.
select snapshot_id from snapshot order by frozen_at desc, snapshot_id limit 1
