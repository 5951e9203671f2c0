-- Since when the leader leads: what was silent while nobody led says nothing. Code that does not know the column leaves it alone.
ALTER TABLE fleet ADD COLUMN listening_since timestamptz(3);
COMMENT ON COLUMN fleet.listening_since IS 'When the present leader began, as logged: silence counts only some minutes later. Null before the first that said so.';
