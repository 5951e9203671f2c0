/** What may grow over a long run, measured at rest between two faults. */
import fs from 'node:fs';
import type { Bench } from '../bench/bench.ts';

/** Numbers by name; `a memory MB` and the like. */
export interface Sample {
  readonly minutes: number;
  readonly values: Readonly<Record<string, number>>;
}

const MB = 1024 * 1024;

export async function takeSample(bench: Bench, minutes: number): Promise<Sample> {
  const values: Record<string, number> = {};
  for (const member of bench.members) {
    const { name, pid, port } = member;
    if (pid === null) continue;
    await member.collectGarbage();
    values[`${name} memory MB`] = rssMb(pid);
    // By what it does: whoever leads holds a state more, and faults have them take turns.
    const { role, mb } = await heapOf(port);
    values[`${role} heap MB`] = mb;
    values[`${name} handles`] = fs.readdirSync(`/proc/${pid}/fd`).length;
  }
  const { sql } = bench.database;
  const sizes = await sql<{ name: string; mb: number }[]>`
    SELECT relname AS name, (
        SELECT sum(pg_total_relation_size(coalesce(p.relid, c.oid)))::float8 / ${MB}
        FROM (SELECT) AS one LEFT JOIN pg_partition_tree(c.oid) AS p ON true) AS mb
    FROM pg_class c
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    ORDER BY 1`;
  for (const { name, mb } of sizes) values[`${name} MB`] = round(mb);
  const [counts] = await sql<{ queued: number; rows: number; mb: number; sessions: number }[]>`
    SELECT (SELECT count(*)::int FROM input_queue) AS queued,
      (SELECT max(seq)::int FROM event_log) AS rows,
      (SELECT sum(pg_total_relation_size(inhrelid))::float8 / ${MB} FROM pg_inherits
       WHERE inhparent = 'event_log'::regclass) AS mb,
      (SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'muster-%') AS sessions`;
  values['inputs queued'] = counts?.queued ?? 0;
  values['database sessions'] = counts?.sessions ?? 0;
  values['log bytes a row'] = Math.round(((counts?.mb ?? 0) * MB) / (counts?.rows ?? 1));
  values['log rows'] = counts?.rows ?? 0;
  return { minutes: round(minutes), values };
}

async function heapOf(port: number): Promise<{ role: string; mb: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const bytes = /^nodejs_heap_size_used_bytes (\S+)$/m.exec(text)?.[1];
  if (bytes === undefined) throw new Error('the process does not tell how large its heap is');
  const leads = /^muster_leader_leading 1$/m.test(text);
  return { role: leads ? 'leader' : 'follower', mb: Math.round(Number(bytes) / MB) };
}

function rssMb(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
