-- One entry a row, with the whole rollout id and seq in it, made the two largest indexes of the log as big as
-- a third of its rows. Equal keys share one entry when seq is left out; within a key their rows stand in the
-- order in which they were appended, and one rollout's or one host's rows of a partition are soon sorted.
DROP INDEX event_log_rollout;
DROP INDEX event_log_host;
CREATE INDEX event_log_rollout ON event_log (rollout_id) WHERE rollout_id IS NOT NULL;
CREATE INDEX event_log_host ON event_log (hostname) WHERE hostname IS NOT NULL;
