/** The committed sample of recorded results: nothing differs but what is deliberate, and that is noticed. */
import { createReadStream } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createGunzip, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compareFile, compareLine, RULES } from '../../src/cli/vectors/compare.ts';
import { Report } from '../../src/cli/vectors/report.ts';
import { lineOf } from '../../src/cli/vectors/shapes.ts';

const FILES = ['host', 'rollout', 'planner'] as const;
/** How often each deliberate difference comes in the sample: one that came no more would be one that is not so any more. */
const DELIBERATE: Record<(typeof FILES)[number], Readonly<Record<string, number>>> = {
  host: {
    'declared-probes-kept': 102,
    'failed-rollback-stays-failed': 19,
    'policy-applied-from-deferred': 32,
  },
  rollout: {
    'cursor-moves-forward-from-where-it-is': 55,
    'opening-may-end': 17,
    'opening-skips-empty-waves': 13,
    'operator-clearance-works': 30,
    'terminal-may-still-fail': 2,
  },
  planner: {
    'budgets-count-distinct-hosts': 7,
    'compliance-counts-soaking-and-converged-hosts': 16,
    'granted-and-rolling-back-hosts-count': 39,
    'host-busy-is-a-gate': 19,
    'host-edges-are-the-rollouts-own': 4,
    'host-missing-from-fleet-is-held': 4,
    'percentage-budgets-count': 31,
    'soak-is-due-from-dispatch': 341,
    'terminal-serves-returning-hosts': 19,
    'waves-are-the-rollouts-own': 7,
  },
};
const pathOf = (file: string) => new URL(`../vectors/${file}.jsonl.gz`, import.meta.url).pathname;

it.each(FILES)('%s: every difference has a name', async (file) => {
  const report = new Report();
  await compareFile(pathOf(file), report);
  const summary = report.summary();
  expect(summary.firstUnexplained).toBeUndefined();
  expect(summary.unexplained).toBe(0);
  expect(summary.byRule).toEqual(DELIBERATE[file]);
  expect(summary.agreed).toBeGreaterThan(summary.compared / 2);
});

it('does not take a wrong answer for a deliberate one', async () => {
  const recorded = await text(createReadStream(pathOf('host')).pipe(createGunzip()));
  const report = new Report();
  const wrong = recorded
    .slice(0, recorded.indexOf('\n'))
    .replace('"state":"Activating"', '"state":"Soaking"');
  compareLine('wrong', wrong, report);
  expect(report.summary().unexplained).toBeGreaterThan(0);
});

describe('notices another value in any recorded field', () => {
  /** What is a result in a line; the rest says what it is a result of. */
  const RESULTS: Record<(typeof FILES)[number], readonly string[]> = {
    host: ['result', 'record', 'transition', 'quarantine'],
    rollout: ['result', 'record', 'effects'],
    planner: ['actions', 'varying', 'orderDependent', 'dispatchCount', 'dispatchedPerBudget'],
  };
  /** So many of each field, spread over the file. */
  const SAMPLES = 8;

  it.each(FILES)('%s', async (file) => {
    const lines = (await text(createReadStream(pathOf(file)).pipe(createGunzip())))
      .trim()
      .split('\n');
    const fields = new Map<string, Place[]>();
    for (const [i, line] of lines.entries()) {
      for (const place of placesIn(JSON.parse(line), [], i)) {
        const name = nameOf(place.path);
        const isResult = RESULTS[file].some((result) =>
          new RegExp(`^(steps\\.)?${result}\\b`).test(name),
        );
        if (isResult) fields.set(name, [...(fields.get(name) ?? []), place]);
      }
    }
    const missed: string[] = [];
    for (const [name, places] of fields) {
      const every = Math.max(1, Math.floor(places.length / SAMPLES));
      for (const [i, place] of places.entries()) {
        const other = places.find(({ value }) => value !== place.value)?.value ?? 'another';
        const { [place.line]: line = '' } = lines;
        if (i % every === 0 && !isNoticed(line, place.path, other))
          missed.push(`${name} of line ${String(place.line)}`);
      }
    }
    expect(fields.size).toBeGreaterThan(RESULTS[file].length);
    expect(missed).toEqual([]);
  });
});

interface Place {
  readonly line: number;
  readonly path: readonly string[];
  readonly value: unknown;
}

function placesIn(value: unknown, path: readonly string[], line: number): Place[] {
  if (typeof value !== 'object' || value === null) return [{ line, path, value }];
  return Object.entries(value).flatMap(([key, child]) => placesIn(child, [...path, key], line));
}

/** Without positions in lists and names of probes: the field, not this one of it. */
function nameOf(path: readonly string[]): string {
  const isName = (key: string, i: number) => path[i - 1] === 'probes' || /^\d+$/.test(key);
  return path.filter((key, i) => !isName(key, i)).join('.');
}

function isNoticed(line: string, path: readonly string[], other: unknown): boolean {
  const report = new Report();
  const replaced = (value: unknown, [key, ...rest]: readonly string[]): unknown => {
    if (key === undefined) return other;
    const items: readonly unknown[] | null = Array.isArray(value) ? value : null;
    if (items !== null)
      return items.map((item, i) => (String(i) === key ? replaced(item, rest) : item));
    return Object.fromEntries(
      Object.entries(value ?? {}).map(([k, child]) => [
        k,
        k === key ? replaced(child, rest) : child,
      ]),
    );
  };
  compareLine('changed', JSON.stringify(replaced(JSON.parse(line), path)), report);
  return report.summary().unexplained > 0;
}

describe('notices', () => {
  const situations = async () => {
    const whole = await text(createReadStream(pathOf('planner')).pipe(createGunzip()));
    return whole
      .trim()
      .split('\n')
      .filter((_, i) => i % 6 === 0)
      .flatMap((line) => {
        const known = lineOf(JSON.parse(line));
        return known?.kind === 'planner' ? [known.line] : [];
      });
  };
  const unexplained = (line: object) => {
    const report = new Report();
    compareLine('changed', JSON.stringify(line), report);
    return report.summary().unexplained;
  };

  it('an action that is left out', async () => {
    for (const line of await situations()) {
      const { actions } = line;
      if (actions.length > 0) expect(unexplained({ ...line, actions: actions.slice(1) })).toBe(1);
    }
  });

  it('an action for a host that waits for none, or that is in no rollout', async () => {
    const action = 'QueueDispatch';
    for (const line of await situations()) {
      const busy = line.hosts.find(
        ({ state, dispatchAckedAt }) => state !== 'Pending' || dispatchAckedAt != null,
      );
      if (busy === undefined) continue;
      const { rolloutId, hostname, targetClosure } = busy;
      for (const host of [hostname, 'stranger']) {
        const extra = { action, rolloutId, host, targetClosure, soakDueAt: line.now };
        expect(unexplained({ ...line, actions: [...line.actions, extra] })).toBe(1);
      }
    }
  });

  it('numbers that are left out', async () => {
    for (const { dispatchCount, dispatchedPerBudget, varying, ...line } of await situations()) {
      if (dispatchCount === undefined) continue;
      const most = { dispatchCount, dispatchedPerBudget, varying };
      for (const left of Object.keys(most)) {
        expect(unexplained({ ...line, ...most, [left]: undefined })).toBeGreaterThan(0);
      }
    }
  });
});

it('says of each rule where its difference stands', () => {
  expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
  expect(
    RULES.filter(
      ({ why }) => !/^(list of differences|hosts' table|rollouts|gates|budgets)/.test(why),
    ),
  ).toEqual([]);
});

it('says that a line of another kind is none', () => {
  const report = new Report();
  compareLine('odd', '{"id":"x"}', report);
  expect(report.summary()).toMatchObject({ compared: 1, unexplained: 1 });
});

describe('a file', () => {
  const recorded = async () => {
    const whole = await text(createReadStream(pathOf('rollout')).pipe(createGunzip()));
    return whole.split('\n').slice(0, 20);
  };
  const compared = async (content: string | Uint8Array) => {
    const path = join(await mkdtemp(join(tmpdir(), 'muster-vectors-')), 'some.jsonl');
    await writeFile(path, content);
    const report = new Report();
    await compareFile(path, report);
    return report.summary();
  };

  it('may be plain or zipped, with blank lines and any line ends', async () => {
    const lines = await recorded();
    const zipped = await compared(gzipSync(lines.join('\n')));
    expect(zipped.compared).toBeGreaterThan(0);
    expect(await compared(lines.join('\n'))).toEqual(zipped);
    expect(await compared(`\r\n${lines.join('\r\n\r\n')}\r\n`)).toEqual(zipped);
  });

  it('that records nothing agrees with nothing', async () => {
    await expect(compared('')).rejects.toThrow('records nothing');
    await expect(compared(gzipSync('\n\n'))).rejects.toThrow('records nothing');
  });

  it.each(['host', 'rollout'])(
    'with a %s line without steps, or an unreadable time',
    async (kind) => {
      const zipped = createReadStream(pathOf(kind)).pipe(createGunzip());
      const line = (await text(zipped)).split('\n')[0] ?? '';
      const value = JSON.parse(line) as { steps: unknown };
      expect((await compared(JSON.stringify({ ...value, steps: [] }))).unexplained).toBe(1);
      const unreadable = line.replace(
        /"(terminalAt|dispatchedAt)": ?("[^"]*"|null)/,
        '"$1":"soon"',
      );
      expect(unreadable).not.toBe(line);
      expect((await compared(unreadable)).firstUnexplained?.got).toContain('"soon" is no time');
    },
  );

  it('may hold lines of all kinds, in several gzip members, behind a byte order mark', async () => {
    const first = async (kind: string) =>
      (await text(createReadStream(pathOf(kind)).pipe(createGunzip()))).split('\n')[0] ?? '';
    const lines = await Promise.all(FILES.map(first));
    const members = lines.map((line) => gzipSync(`${line}\n`));
    const zipped = await compared(Buffer.concat(members));
    expect(zipped).toMatchObject({ unexplained: 0 });
    expect(zipped.compared).toBeGreaterThan(FILES.length);
    expect(await compared(`\uFEFF${lines.join('\n')}`)).toEqual(zipped);
    await expect(compared(Buffer.concat(members).subarray(0, -9))).rejects.toThrow(
      /unreadable after \d lines: .*unexpected end of file/,
    );
  });

  it('may record what is not there as null, and fields that nobody knows', async () => {
    const { compared: n } = await compared((await recorded()).slice(0, 1).join(''));
    const line = JSON.parse((await recorded())[0] ?? '') as { steps: object[] };
    const steps = line.steps.map((step) => ({ effects: null, later: 1, ...step }));
    const odd = { ...line, steps, note: null };
    expect(await compared(JSON.stringify(odd))).toMatchObject({ compared: n, unexplained: 0 });
  });

  it('names the field that is wrong', async () => {
    const line = JSON.parse((await recorded())[0] ?? '') as { initial: object };
    const wrong = { ...line, initial: { ...line.initial, state: 'Odd' } };
    const { firstUnexplained } = await compared(JSON.stringify(wrong));
    expect(firstUnexplained?.at).toMatch(/some\.jsonl:1$/);
    expect(firstUnexplained?.got).toContain('a rollout line, but for /initial/state');
  });

  it('names the line that is none', async () => {
    const [first = ''] = await recorded();
    const { unexplained, firstUnexplained } = await compared(`${first}\n{"id":`);
    expect(unexplained).toBe(1);
    expect(firstUnexplained?.at).toMatch(/:2$/);
  });
});
