-- Verdicts that a replica waits for: one row for all of a commit, where there was one (and two index entries,
-- and a row to parse) for each input. Who stores an input says that it reads them so; for all others, older
-- replicas and commands (which are asked for again by their keys), table verdict goes on holding them.
--
-- Unlogged: who waits does so for two seconds. After a crash of the server the answer is 202, and the log has
-- what became of the input.
CREATE UNLOGGED TABLE commit_verdicts (
  epoch     bigint         NOT NULL,
  commit_no bigint         NOT NULL,
  replica   text           NOT NULL,
  verdicts  json           NOT NULL,
  at        timestamptz(3) NOT NULL,
  PRIMARY KEY (epoch, commit_no, replica)
);
-- Read once, soon: compressing would cost more than it saves.
ALTER TABLE commit_verdicts ALTER COLUMN verdicts SET STORAGE EXTERNAL;

ALTER TABLE input_queue ADD COLUMN together boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN input_queue.together IS 'Its verdict is read from commit_verdicts, not from verdict.';
COMMENT ON TABLE commit_verdicts IS 'Not derived: what became of the inputs of one commit that one replica waits for. Swept after minutes, empty after a crash of the server.';
COMMENT ON COLUMN commit_verdicts.epoch IS 'Term that decided.';
COMMENT ON COLUMN commit_verdicts.commit_no IS 'Commit that decided.';
COMMENT ON COLUMN commit_verdicts.replica IS 'Who waits.';
COMMENT ON COLUMN commit_verdicts.verdicts IS 'A list of [input id, verdict, seqs of the log rows it led to].';
COMMENT ON COLUMN commit_verdicts.at IS 'When.';
COMMENT ON TABLE verdict IS 'Not derived: what became of commands, kept as long as their keys, and of inputs of older replicas.';
COMMENT ON COLUMN verdict.replica IS 'Through which it came.';
