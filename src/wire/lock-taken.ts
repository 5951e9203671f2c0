/** In one sentence, wherever it is said: any login may take an advisory lock, and none of ours has it until it lets go. */
export function lockTaken(
  lock: 'leader' | 'workers',
  { pid, application }: { readonly pid: number; readonly application: string },
): string {
  const [whose, todo] = lock === 'leader' ? ["leader's", 'lead'] : ["workers'", 'work'];
  return `no Muster but the session ${String(pid)} (${JSON.stringify(application)}) holds the ${whose} lock, and nobody can ${todo}: end it with pg_terminate_backend`;
}

export const NOBODY_WORKS =
  'nobody works: no new release is seen, no silent host noticed, and soaks end late. Start a process with the role workers';
