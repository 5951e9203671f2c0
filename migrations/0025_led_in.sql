-- A leader that finds another database than the one in which the last commit was made takes what hosts reported before for
-- forgotten. Of the epoch it cannot be told: that is taken, or renewed by `muster restored`, in a commit of its own.
ALTER TABLE leader_progress ADD COLUMN led_in text;
COMMENT ON COLUMN leader_progress.led_in IS 'Incarnation of the database when this commit was made; null when an older Muster made it.';
