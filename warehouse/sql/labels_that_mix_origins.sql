-- One row a label counted from more votes than its origin cast. No parameters.
select label.pair_id, label.origin, label.num_votes, count(vote.vote_id) as num_cast
from label
left join vote on vote.pair_id = label.pair_id and vote.origin = label.origin
where label.origin is not null
group by label.pair_id, label.policy, label.origin, label.num_votes
having count(vote.vote_id) < label.num_votes
order by label.pair_id
