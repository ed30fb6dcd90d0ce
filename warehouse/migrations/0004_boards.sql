-- Boards: what is shown, what happened to every answer, how far was read; gold answers; votes that say why and how they
-- were asked. `vote` is made anew, because DuckDB and DuckLake share no statement that adds a column which is never NULL.
-- Older votes of models were cast on sides that `raw` tells. Older votes of simulated annotators go, with their labels:
-- nothing says what happened to them, and the formula casts them again on the next road.

CREATE TABLE showing (
    showing_id VARCHAR NOT NULL,
    board VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    is_swapped BOOLEAN NOT NULL,
    purpose VARCHAR NOT NULL,
    repeats VARCHAR,
    num_votes BIGINT,
    num_agreeing BIGINT,
    priority DOUBLE NOT NULL,
    is_withdrawn BOOLEAN NOT NULL
);

CREATE TABLE gold (
    pair_id VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    source VARCHAR NOT NULL
);

CREATE TABLE vote_event (
    event_id VARCHAR NOT NULL,
    collection BIGINT NOT NULL,
    board VARCHAR NOT NULL,
    task BIGINT NOT NULL,
    answer BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    vote_id VARCHAR,
    showing_id VARCHAR,
    pair_id VARCHAR,
    annotator VARCHAR NOT NULL,
    outcome VARCHAR,
    is_skip BOOLEAN NOT NULL,
    problem VARCHAR,
    "at" VARCHAR NOT NULL,
    raw VARCHAR NOT NULL
);

CREATE TABLE watermark (
    board VARCHAR NOT NULL,
    mark VARCHAR NOT NULL,
    reconciled_at VARCHAR
);

ALTER TABLE vote RENAME TO vote_before;

CREATE TABLE vote (
    vote_id VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    annotator VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,
    outcome VARCHAR,
    is_known BOOLEAN NOT NULL,
    purpose VARCHAR NOT NULL,
    is_swapped BOOLEAN NOT NULL,
    face VARCHAR,
    quality VARCHAR,
    align VARCHAR,
    cast_at VARCHAR NOT NULL,
    seconds DOUBLE,
    comment VARCHAR,
    raw VARCHAR NOT NULL
);

INSERT INTO vote
SELECT
    vote_before.vote_id, vote_before.pair_id, vote_before.annotator, vote_before.origin, vote_before.outcome,
    vote_before.is_known, 'vote',
    coalesce(json_extract_string(vote_before.raw, '$.is_turned') = 'true', false),
    NULL, NULL, NULL, vote_before.cast_at, vote_before.seconds, vote_before.comment, vote_before.raw
FROM vote_before
WHERE vote_before.origin = 'vlm';

DROP TABLE vote_before;

DELETE FROM label WHERE origin = 'simulated';
