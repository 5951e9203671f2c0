/** SIGKILL at exact points: the proxy stops the process at a statement, then the process dies. */
import type { Bench } from '../bench/bench.ts';
import type { Member } from '../bench/member.ts';
import type { Fault } from '../fault.ts';
import type { Moment } from '../wire/session.ts';

interface Point {
  readonly name: string;
  readonly what: string;
  readonly role: string;
  readonly sql: RegExp;
  readonly moment: Moment;
  /** Default: the leader. */
  readonly victim?: 'follower';
  readonly short?: boolean;
}

/** A killed leader is replaced within this, by the design. */
export const TAKEOVER_LIMIT_MS = 2_000;

const ENQUEUE = /INSERT INTO input_queue/;
const CLAIM = /FROM input_queue WHERE id NOT IN/;
const LOG = /INSERT INTO event_log/;
const COMMIT = /^COMMIT/;
const VERDICTS = /FROM commit_verdicts/;

const POINTS: readonly Point[] = [
  {
    name: 'kill-before-enqueue',
    what: 'SIGKILL before a gathered insert is sent',
    ...{ role: 'enqueue', sql: ENQUEUE, moment: 'before', victim: 'follower' },
  },
  {
    name: 'kill-during-enqueue',
    what: 'SIGKILL while a gathered insert is being committed',
    ...{ role: 'enqueue', sql: ENQUEUE, moment: 'sent', victim: 'follower' },
  },
  {
    name: 'kill-after-enqueue',
    what: 'SIGKILL after an insert is committed, before the process knows',
    ...{ role: 'enqueue', sql: ENQUEUE, moment: 'answered', victim: 'follower' },
  },
  {
    name: 'kill-before-claim',
    what: 'SIGKILL of the leader before it claims',
    ...{ role: 'leader', sql: CLAIM, moment: 'before' },
  },
  {
    name: 'kill-after-claim',
    what: 'SIGKILL of the leader after it has claimed',
    ...{ role: 'leader', sql: CLAIM, moment: 'answered' },
  },
  {
    name: 'kill-mid-transaction',
    what: 'SIGKILL of the leader with log rows written and not committed',
    ...{ role: 'writer', sql: LOG, moment: 'answered' },
  },
  {
    name: 'kill-before-commit',
    what: 'SIGKILL of the leader before its COMMIT is sent',
    ...{ role: 'writer', sql: COMMIT, moment: 'before' },
  },
  {
    name: 'kill-mid-commit',
    what: 'SIGKILL of the leader while its COMMIT is under way',
    ...{ role: 'writer', sql: COMMIT, moment: 'sent', short: true },
  },
  {
    name: 'kill-after-commit',
    what: 'SIGKILL of the leader after its COMMIT, before it knows',
    ...{ role: 'writer', sql: COMMIT, moment: 'answered' },
  },
  {
    name: 'kill-before-reply',
    what: 'SIGKILL of the process that was told verdicts, before it answers its agents',
    ...{ role: 'verdicts', sql: VERDICTS, moment: 'answered' },
  },
];

async function killAt(bench: Bench, victim: Member, point: Point): Promise<void> {
  const session = await victim.proxy.trap(point.role, point.sql, point.moment);
  await victim.signal('SIGKILL');
  session.cut();
}

function killFault(point: Point): Fault {
  const { name, what, victim, short } = point;
  return {
    ...{ name, what },
    limitMs: TAKEOVER_LIMIT_MS,
    ...(short === true ? { short } : {}),
    run: async (bench) => {
      if (victim === 'follower') {
        await killAt(bench, await bench.follower(), point);
        return;
      }
      const { epoch } = await bench.epoch();
      await killAt(bench, await bench.leader(), point);
      await bench.untilEpochAbove(epoch);
    },
  };
}

/** Nobody hears of the leader's last commit: its notification is lost with it. */
const unheard: Fault = {
  name: 'kill-before-notify',
  what: 'SIGKILL of the leader after its COMMIT; no process sees the notification',
  limitMs: TAKEOVER_LIMIT_MS,
  run: async (bench) => {
    const leader = await bench.leader();
    const { epoch } = await bench.epoch();
    const committed = leader.proxy.trap('writer', COMMIT, 'answered');
    for (const { proxy } of bench.members) proxy.line.dropNotifications = true;
    const session = await committed;
    await leader.signal('SIGKILL');
    session.cut();
    await bench.untilEpochAbove(epoch);
  },
};

export const KILLS: readonly Fault[] = [...POINTS.map(killFault), unheard];
