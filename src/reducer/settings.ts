/**
 * The graces and limits that decisions use. Fixed for a leader's term and logged with it, so that a log can
 * be decided again under the numbers that were in force.
 */
export interface Settings {
  /** Minutes: an agent refuses an older manifest, whatever its channel allows. */
  readonly agentFreshnessMinutes: number;
  /** Minutes after which an absent Pending host no longer holds its wave. A laptop in a drawer blocks nobody. */
  readonly offlineGraceMinutes: number;
  /** Minutes since a host was last heard after which an offered dispatch gives up its slot. */
  readonly deliveredGraceMinutes: number;
  /** Minutes beyond soakDueAt without an event after which a heard host no longer counts as moving. */
  readonly moveGraceMinutes: number;
  /** Minutes after an offer to a heard host at which its silence is called a refusal. */
  readonly refusedAfterMinutes: number;
  /** Seconds between two heartbeats of an agent: what silence is measured by. */
  readonly heartbeatSeconds: number;
}

export const DEFAULT_SETTINGS: Settings = {
  agentFreshnessMinutes: 60,
  offlineGraceMinutes: 15,
  deliveredGraceMinutes: 30,
  moveGraceMinutes: 60,
  refusedAfterMinutes: 10,
  heartbeatSeconds: 60,
};
