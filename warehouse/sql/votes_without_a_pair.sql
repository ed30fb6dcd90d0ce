-- One row a vote about a pair that the warehouse does not hold. No parameters.
select vote_id, pair_id from vote anti join pair using (pair_id) order by vote_id
