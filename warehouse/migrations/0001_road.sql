-- The nouns, the ledger of every item at every stage, and what ingest found on arrival.
-- No keys, sequences or checks: a DuckLake catalog has none. Ids are made from content; MERGE keeps them single.

CREATE TABLE listing (
    dataset VARCHAR NOT NULL,
    entry VARCHAR NOT NULL,
    source_id VARCHAR,
    problem VARCHAR
);

CREATE TABLE source (
    source_id VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    num_bytes BIGINT NOT NULL,
    caption VARCHAR,
    extra VARCHAR
);

CREATE TABLE clip (
    clip_id VARCHAR NOT NULL,
    source_id VARCHAR NOT NULL,
    fact_key VARCHAR NOT NULL,
    shot_index BIGINT NOT NULL,
    start_frame BIGINT NOT NULL,
    end_frame BIGINT NOT NULL,
    "start" STRUCT(num BIGINT, den BIGINT) NOT NULL,
    "end" STRUCT(num BIGINT, den BIGINT) NOT NULL,
    frame_rate STRUCT(num BIGINT, den BIGINT) NOT NULL,
    width_px BIGINT NOT NULL,
    height_px BIGINT NOT NULL
);

CREATE TABLE subject (
    subject_id VARCHAR NOT NULL,
    clip_id VARCHAR NOT NULL,
    fact_key VARCHAR NOT NULL,
    subject_index BIGINT NOT NULL,
    phrase VARCHAR,
    key_frame BIGINT NOT NULL,
    box_px DOUBLE[] NOT NULL,
    face_box_px DOUBLE[],
    track_sha256 VARCHAR NOT NULL,
    identity_vector DOUBLE[],
    identity_model VARCHAR
);

CREATE TABLE subject_identity (
    subject_id VARCHAR NOT NULL,
    identity_id VARCHAR NOT NULL
);

CREATE TABLE reference (
    reference_id VARCHAR NOT NULL,
    subject_id VARCHAR NOT NULL,
    clip_id VARCHAR NOT NULL,
    fact_key VARCHAR NOT NULL,
    "view" VARCHAR NOT NULL,
    is_resynthesised BOOLEAN NOT NULL,
    sha256 VARCHAR NOT NULL,
    width_px BIGINT NOT NULL,
    height_px BIGINT NOT NULL,
    identity_score DOUBLE,
    identity_vector DOUBLE[]
);

CREATE TABLE candidate (
    candidate_id VARCHAR NOT NULL,
    clip_id VARCHAR NOT NULL,
    fact_key VARCHAR NOT NULL,
    generator VARCHAR NOT NULL,
    severity DOUBLE,
    seed BIGINT,
    sha256 VARCHAR NOT NULL
);

CREATE TABLE pair (
    pair_id VARCHAR NOT NULL,
    clip_id VARCHAR NOT NULL,
    candidate_a VARCHAR NOT NULL,
    candidate_b VARCHAR NOT NULL,
    is_swapped BOOLEAN NOT NULL,
    kind VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    seed BIGINT NOT NULL
);

CREATE TABLE vote (
    vote_id VARCHAR NOT NULL,
    pair_id VARCHAR NOT NULL,
    annotator VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,
    outcome VARCHAR,
    is_known BOOLEAN NOT NULL,
    cast_at VARCHAR NOT NULL,
    seconds DOUBLE,
    comment VARCHAR,
    raw VARCHAR NOT NULL
);

CREATE TABLE label (
    pair_id VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    outcome VARCHAR,
    reason VARCHAR NOT NULL,
    origin VARCHAR,
    num_votes BIGINT NOT NULL,
    num_a BIGINT NOT NULL,
    num_tie BIGINT NOT NULL,
    num_b BIGINT NOT NULL
);

CREATE TABLE ledger (
    fact_key VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    reason VARCHAR,
    exception VARCHAR,
    attempt BIGINT NOT NULL,
    seconds DOUBLE NOT NULL,
    shard_id VARCHAR NOT NULL,
    committed_at TIMESTAMP NOT NULL
);

CREATE TABLE snapshot (
    snapshot_id VARCHAR NOT NULL,
    label_policy VARCHAR NOT NULL,
    frozen_at TIMESTAMP NOT NULL
);
