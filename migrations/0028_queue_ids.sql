-- Whoever may add to the queue may also give a row its id. One beyond what a double carries, or below the first slot, no
-- leader can take out again, and every term ended by it. Such rows are refused; those that wait get an id like any other,
-- and are decided.
--
-- NOT VALID: nothing is read through under the lock, and the statement after it leaves no row that is not so.

ALTER TABLE input_queue ADD CONSTRAINT input_queue_id CHECK (id BETWEEN 1 AND 9007199254740991) NOT VALID;

UPDATE input_queue SET id = nextval('input_queue_ids') WHERE id < 1 OR id > 9007199254740991;

COMMENT ON COLUMN dead_input.payload IS 'The input, as text; empty where it was larger than any that Muster stores.';
