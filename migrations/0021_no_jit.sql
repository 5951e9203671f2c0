-- Just-in-time compilation takes seconds for statements that run for milliseconds: the planner takes what these functions
-- may return for what they do.

ALTER FUNCTION {{schema}}_v1.record_changes(text, bigint) SET jit = off;
ALTER FUNCTION {{schema}}_v1.state_at(bigint, text) SET jit = off;
ALTER FUNCTION {{schema}}_v1.host_history(text) SET jit = off;
ALTER FUNCTION {{schema}}_v1.timeline(text) SET jit = off;
ALTER FUNCTION {{schema}}_v1.causes(bigint) SET jit = off;
