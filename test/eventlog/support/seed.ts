/** A scenario of the core's tests as a database would hold it: its log, and the tables that follow from it. */
import type { Sql } from '../../../src/db/driver.ts';
import { chainEntries, insertRows } from '../../../src/eventlog/append.ts';
import { GENESIS } from '../../../src/eventlog/chain.ts';
import { writeTouched } from '../../../src/eventlog/write-tables.ts';
import type { FleetContent, ManifestContent } from '../../../src/reducer/content.ts';
import { touched } from '../../../src/reducer/state/touched.ts';
import { timeOf } from '../../../src/reducer/time.ts';
import { Script } from '../../reducer/support/script.ts';

type Run = <T>(statements: (sql: Sql) => Promise<T>) => Promise<T>;

/** Runs a script (test/reducer/support/script.ts) and stores what it led to. */
export async function seed(run: Run, text: string): Promise<Script> {
  const script = new Script();
  for (const line of text.split('\n')) {
    if (line.trim() !== '' && !/^( {4}|#)/.test(line)) script.run(line.trim());
  }
  await store(run, script);
  return script;
}

async function store(run: Run, { trace, state }: Script): Promise<void> {
  let hash: Uint8Array = GENESIS;
  let epoch = 1;
  let last = 0;
  const rows = trace.flatMap(({ input, now, entries }) => {
    if (input.kind === 'LeaderStarted') epoch = input.epoch;
    last = Math.max(last, now);
    const made = chainEntries(entries, timeOf(last), epoch, hash);
    hash = made.at(-1)?.hash ?? hash;
    return made;
  });
  await run((sql) => insertRows(sql, rows));
  const changed = touched(
    state,
    trace.flatMap(({ entries }) => entries),
  );
  await run(async (sql) => {
    for (const statement of writeTouched(sql, changed)) await statement();
  });
  for (const { input } of trace) {
    if (input.kind === 'ManifestSetUpdated') await storeContent(run, input.fleet, input.manifests);
  }
  await run(
    (sql) => sql`INSERT INTO epoch (epoch, holder, address, version, since, incarnation,
        system_identifier, timeline, database_oid)
      VALUES (${epoch}, 'me', 'http://me', '1', ${timeOf(last)}, 'i1', '', 0, 0)`,
  );
}

/** The artifacts of a set, as the verifier would store them. */
export function asStored(fleet: FleetContent, manifests: readonly ManifestContent[]) {
  const lists = (value: object): string =>
    JSON.stringify({ v: 1, ...value }, (_, member: unknown) =>
      member instanceof Map ? [...member] : member,
    );
  const hosts = [...fleet.hosts].map(([name, h]) => [name, h.channel, h.closureHash]);
  return [
    {
      kind: 'fleet',
      name: 'fleet.resolved',
      hash: fleet.hash,
      content: lists({ ...fleet, hosts }),
    },
    ...manifests.map((manifest) => ({
      kind: 'manifest',
      name: manifest.rolloutId,
      hash: manifest.hash,
      content: lists({ ...manifest, contentHash: '' }),
    })),
  ];
}

async function storeContent(
  run: Run,
  fleet: FleetContent,
  manifests: readonly ManifestContent[],
): Promise<void> {
  for (const { kind, name, hash, content } of asStored(fleet, manifests)) {
    await run(
      (sql) => sql`
        INSERT INTO artifact (kind, name, hash, bytes, signature, content, signed_at, verified_at, current)
        VALUES (${kind}, ${name}, ${hash}, '{}', '', ${content}::text::json, ${fleet.signedAt},
          ${fleet.signedAt}, false) ON CONFLICT DO NOTHING`,
    );
  }
}
