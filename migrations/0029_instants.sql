-- A timestamptz may be infinity, or of a year that no reader of ours can write. One that SQL put into a row kept every leader
-- from deciding what looks at that row; one that was decided, from reading the state at all. Such a row is refused, and an
-- input that led to it is set aside: by the names of these checks Muster knows that the values are to blame.
--
-- Of derived tables those are here whose instants come from inputs as they are; a row that is there already stays, since the
-- log leads to it. NOT VALID, and presence before host, as heartbeats lock them: under the locks only working memory is read
-- through, by the statements below that leave no row of it that is not so.

ALTER TABLE dispatch_offer ADD CONSTRAINT dispatch_offer_instants CHECK (
  first_offered_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND last_offered_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;
ALTER TABLE presence ADD CONSTRAINT presence_instants CHECK (
  heard_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND prev_heard_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND last_non2xx_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;
ALTER TABLE fleet ADD CONSTRAINT fleet_instants CHECK (
  signed_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND reject_before BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;
ALTER TABLE host ADD CONSTRAINT host_instants CHECK (
  reachability_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;
ALTER TABLE operator_secret ADD CONSTRAINT operator_secret_instants CHECK (
  stored_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND last_used_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;
ALTER TABLE enrolment ADD CONSTRAINT enrolment_instants CHECK (
  not_before BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND not_after BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND token_expires_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND nonce_expires_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  AND burnt_at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00') NOT VALID;

-- Of a dispatch that was offered nobody knows when, it is safe to say that it was now; who has no presence is heard anew.
UPDATE dispatch_offer SET first_offered_at = clock_timestamp(), last_offered_at = clock_timestamp()
WHERE first_offered_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  OR last_offered_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00';
DELETE FROM presence
WHERE heard_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  OR prev_heard_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  OR last_non2xx_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00';
UPDATE operator_secret SET stored_at = clock_timestamp(), last_used_at = NULL
WHERE stored_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00'
  OR last_used_at NOT BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999+00';
