-- One row an item that reached a stage: the verdict on it. Parameter: $stage; reads `verdict`.
select item_id, verdict from verdict where stage = $stage order by item_id
