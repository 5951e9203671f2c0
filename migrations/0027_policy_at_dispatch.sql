-- The policy that a host's agent took with its dispatch, where a later set than the rollout's own was in force. Code that does not
-- know the column takes the rollout's for it, as it always did.
ALTER TABLE host_rollout ADD COLUMN policy_at_dispatch text;
COMMENT ON COLUMN host_rollout.policy_at_dispatch IS 'What its agent does when the switch or the soak fails, as it took it with its dispatch; null: as the rollout pinned it.';
