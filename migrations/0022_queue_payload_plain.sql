-- A payload's size is then known without reading it, and what a claim reads is bounded by it. A row lives for
-- milliseconds: compressing it costs more than it spares.

ALTER TABLE {{schema}}.input_queue ALTER COLUMN payload SET STORAGE EXTERNAL;
