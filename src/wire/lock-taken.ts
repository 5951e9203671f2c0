/** In one sentence, wherever it is said: any login may take an advisory lock, and nobody leads until it lets go. */
export function lockTaken({
  pid,
  application,
}: {
  readonly pid: number;
  readonly application: string;
}): string {
  return `no Muster but the session ${String(pid)} (${JSON.stringify(application)}) holds the leader's lock, and nobody can lead: end it with pg_terminate_backend`;
}
