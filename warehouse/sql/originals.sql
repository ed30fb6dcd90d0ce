-- One row a candidate that is its clip's own video. No parameters.
select distinct candidate_id from candidate where generator = 'original' order by candidate_id
