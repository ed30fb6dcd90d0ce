-- Sources inside tars, what data sets say of them, and a listing that remembers what it has looked at.

ALTER TABLE source ADD COLUMN member VARCHAR;
ALTER TABLE source ADD COLUMN "offset" BIGINT;
ALTER TABLE source ADD COLUMN annotation_sha256 VARCHAR;
ALTER TABLE source ADD COLUMN annotation_row BIGINT;

ALTER TABLE listing ADD COLUMN own_problem VARCHAR;
ALTER TABLE listing ADD COLUMN repaired_from VARCHAR;
ALTER TABLE listing ADD COLUMN path VARCHAR;
ALTER TABLE listing ADD COLUMN member VARCHAR;
ALTER TABLE listing ADD COLUMN "offset" BIGINT;
ALTER TABLE listing ADD COLUMN num_bytes BIGINT;
ALTER TABLE listing ADD COLUMN mtime_ns BIGINT;
ALTER TABLE listing ADD COLUMN sha256 VARCHAR;
ALTER TABLE listing ADD COLUMN place BIGINT;
ALTER TABLE listing ADD COLUMN batch VARCHAR;

CREATE TABLE cross_video_pair (
    dataset VARCHAR NOT NULL,
    cur_id VARCHAR NOT NULL,
    aft_id VARCHAR NOT NULL,
    cur_class_name VARCHAR,
    aft_class_name VARCHAR,
    text_similarity DOUBLE,
    image_similarity DOUBLE,
    cur_frame_idx BIGINT,
    aft_frame_idx BIGINT,
    extra VARCHAR,
    place BIGINT NOT NULL,
    batch VARCHAR NOT NULL
);
