-- One row a batch of a data set's cross-video pairs. Parameter: $dataset.
select distinct batch from cross_video_pair where dataset = $dataset
