-- One row a stage, in the order of the road: how many items reached it and what became of them. No parameters; reads `verdict`.
with counted as (
    select
        stage,
        noun,
        count(*) as num_in,
        count(*) filter (where verdict = 'passed') as passed,
        count(*) filter (where verdict = 'dropped') as dropped,
        count(*) filter (where verdict = 'failed') as failed,
        count(*) filter (where verdict = 'pending') as pending
    from verdict
    group by stage, noun
)
select stage, noun, num_in, passed, dropped, failed, pending from counted
