-- References say who made them, how good they are, and which one stands for its subject. The table is made anew, because
-- DuckDB and DuckLake share no statement that adds a column which is never NULL. Of older references the chosen one is
-- the one that the code of then took: the best identity score, the least id among equals.

ALTER TABLE reference RENAME TO reference_before;

CREATE TABLE reference (
    reference_id VARCHAR NOT NULL,
    subject_id VARCHAR NOT NULL,
    clip_id VARCHAR NOT NULL,
    fact_key VARCHAR NOT NULL,
    "view" VARCHAR NOT NULL,
    synthesizer VARCHAR,
    prompt VARCHAR,
    is_resynthesised BOOLEAN NOT NULL,
    sha256 VARCHAR NOT NULL,
    width_px BIGINT NOT NULL,
    height_px BIGINT NOT NULL,
    face_px DOUBLE,
    sharpness DOUBLE,
    copy_paste_score DOUBLE,
    identity_score DOUBLE,
    identity_vector DOUBLE[],
    is_chosen BOOLEAN NOT NULL
);

INSERT INTO reference
SELECT
    reference_id, subject_id, clip_id, fact_key, "view",
    CASE WHEN "view" <> 'crop' THEN 'geometric views' END, NULL,
    is_resynthesised, sha256, width_px, height_px, NULL, NULL, NULL, identity_score, identity_vector,
    row_number() OVER (
        PARTITION BY subject_id, fact_key ORDER BY coalesce(identity_score, -2) DESC, reference_id
    ) = 1
FROM reference_before;

DROP TABLE reference_before;
