-- Burnt bootstrap nonces: derived, like all state that the log leads to.

CREATE TABLE enrolment (
  nonce            text           NOT NULL PRIMARY KEY,
  seq              bigint         NOT NULL,
  hostname         text           NOT NULL,
  csr_hash         text           NOT NULL,
  key_fingerprint  text           NOT NULL,
  serial           text           NOT NULL,
  not_before       timestamptz(3) NOT NULL,
  not_after        timestamptz(3) NOT NULL,
  token_expires_at timestamptz(3) NOT NULL,
  nonce_expires_at timestamptz(3) NOT NULL,
  burnt_at         timestamptz(3) NOT NULL,
  refusals         integer        NOT NULL
);

COMMENT ON TABLE enrolment IS 'Derived: bootstrap nonces that were burnt, each with the one certificate that it is good for.';
COMMENT ON COLUMN enrolment.nonce IS 'As in the token and the signed allow-list.';
COMMENT ON COLUMN enrolment.seq IS 'Log row that last changed it.';
COMMENT ON COLUMN enrolment.hostname IS 'Host that enrolled.';
COMMENT ON COLUMN enrolment.csr_hash IS 'SHA-256 in hex of the certificate request that burnt it; the same one may collect again.';
COMMENT ON COLUMN enrolment.key_fingerprint IS 'SHA-256 in base64 of the public key that was certified.';
COMMENT ON COLUMN enrolment.serial IS 'Serial number of the certificate, in hex.';
COMMENT ON COLUMN enrolment.not_before IS 'When the certificate begins to be valid.';
COMMENT ON COLUMN enrolment.not_after IS 'When it ends.';
COMMENT ON COLUMN enrolment.token_expires_at IS 'Until when the token lets its holder collect the certificate.';
COMMENT ON COLUMN enrolment.nonce_expires_at IS 'Until when the allow-list let the nonce in.';
COMMENT ON COLUMN enrolment.burnt_at IS 'When it was burnt. Forgotten 90 days after token and nonce have expired.';
COMMENT ON COLUMN enrolment.refusals IS 'Other requests that came with this nonce and were refused, as far as they were logged.';

CREATE VIEW {{schema}}_v1.enrolments AS
SELECT nonce, hostname AS host, key_fingerprint, serial, not_before, not_after, burnt_at, token_expires_at, refusals,
  seq AS changed_seq
FROM {{schema}}.enrolment;

COMMENT ON VIEW {{schema}}_v1.enrolments IS 'Hosts that enrolled by a bootstrap token, and the certificate that each was given. Renewals are rows of the log.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.nonce IS 'As in the token and the signed allow-list.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.host IS 'Host that enrolled.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.key_fingerprint IS 'SHA-256 in base64 of the public key that was certified.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.serial IS 'Serial number of the certificate, in hex.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.not_before IS 'When the certificate begins to be valid.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.not_after IS 'When it ends.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.burnt_at IS 'When the nonce was burnt.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.token_expires_at IS 'Until when the token lets its holder collect the certificate.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.refusals IS 'Other requests that came with this nonce and were refused, as far as they were logged.';
COMMENT ON COLUMN {{schema}}_v1.enrolments.changed_seq IS 'Log row that last changed it.';
COMMENT ON COLUMN {{schema}}_v1.events.kind IS 'agent_event, host_report, transition, rollout_event, plan_action, gate_decision, verify_outcome, manifest_set, operator_command, liveness, leadership or enrolment.';
