/** Alerts, dashboard, runbooks and the page of metrics say what the code has: `npx vitest run test/house -u` rewrites the page. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { NOUNS } from '../../src/cli/operate/nouns.ts';
import { METRICS } from '../../src/telemetry.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
  };
}

const { groups } = parse(read('chart/files/alerts.yaml')) as {
  groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const pages = (): string[] => readdirSync(path.join(ROOT, 'docs/operations'));

/** What Prometheus sees of each metric: a histogram is three series, and has the label `le`. */
function seriesLabels(name: string): readonly string[] | null {
  const histogram = /_(bucket|sum|count)$/;
  for (const [metric, spec] of Object.entries(METRICS)) {
    if (name === metric && spec.type !== 'histogram') return spec.labels;
    if (spec.type !== 'histogram' || name.replace(histogram, '') !== metric || name === metric)
      continue;
    return name.endsWith('_bucket') ? [...spec.labels, 'le'] : spec.labels;
  }
  return null;
}

/** What Prometheus puts on each series: together they are one installation. */
const TARGET = ['namespace', 'job'];

/** Every complaint about an expression: syntax, metrics that are not there, labels that they lack. */
function complaints(expr: string): string[] {
  const found: string[] = [];
  const metrics: string[] = [];
  const labels: string[] = [];
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      const text = expr.slice(from, to);
      if (type.isError) found.push(`does not parse at ${String(from)}`);
      if (type.name === 'VectorSelector') metrics.push(/^\w*/.exec(text)?.[0] ?? '');
      if (type.name === 'LabelName') labels.push(text);
    },
  });
  if (metrics.length === 0) found.push('names no metric');
  for (const name of metrics) if (seriesLabels(name) === null) found.push(`no metric ${name}`);
  const known = new Set([...TARGET, ...metrics.flatMap((name) => seriesLabels(name) ?? [])]);
  for (const label of labels) if (!known.has(label)) found.push(`no label ${label}`);
  return found;
}

describe('alerts', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s is sound', (_name, rule) => {
    expect([rule.expr, complaints(rule.expr)]).toEqual([rule.expr, []]);
    expect(rule.labels.severity).toMatch(/^(critical|warning|info)$/);
    expect(rule.annotations.summary).not.toBe('');
    const page = read(rule.annotations.runbook_url);
    for (const part of [rule.alert, '## What it means', '## Look', '## Do']) {
      expect(page).toContain(part);
    }
  });

  it.each(rules.map(({ alert, expr }) => [alert, expr]))(
    '%s tells one installation from another',
    (_name, expr) => {
      const aggregations = expr.match(/\b(sum|max|min|avg|count)\b.{0,20}/g) ?? [];
      expect(aggregations).not.toEqual([]);
      for (const one of aggregations) expect(one).toMatch(/^\w+ by \(namespace, job[,)]/);
      expect(expr).not.toContain('vector(');
    },
  );

  it('that wait for hours look back over the moment in which another process begins to work', () => {
    const slow = rules.filter((rule) => /^\d+[hd]$/.test(rule.for ?? ''));
    expect(slow.map(({ alert }) => alert)).toContain('MusterPausedLong');
    for (const { expr } of slow) expect(expr).not.toMatch(/\bmuster_\w+(\{[^}]*\})?(?![\w{[])/);
  });

  it('that tell of what comes with a start hold from the first sample on', () => {
    // Of a series that begins with what it tells of, `increase` says nothing.
    const { expr = '' } = rules.find(({ alert }) => alert === 'MusterDatabaseChanged') ?? {};
    expect(expr).toMatch(
      /^time\(\) - max by \(namespace, job\) \(muster_\w+_time_seconds\) < \d+$/,
    );
    const samples = { never: 0, justNow: 999_990, hoursAgo: 990_000 };
    const [window = 0] = /\d+$/.exec(expr) ?? [];
    const fires = (value: number): boolean => 1_000_000 - value < Number(window);
    expect(Object.values(samples).map(fires)).toEqual([false, true, false]);
  });

  it('cover what an operator is promised, and every page has its alert', () => {
    const named = new Set(rules.map((rule) => path.basename(rule.annotations.runbook_url)));
    expect([...named].sort()).toEqual(
      pages()
        .filter((page) => page !== 'README.md')
        .sort(),
    );
    const index = read('docs/operations/README.md');
    for (const { alert } of rules) expect(index).toContain(`\`${alert}\``);
  });

  it('would be found wrong', () => {
    expect(complaints('sum(muster_no_such_metric)')).toEqual(['no metric muster_no_such_metric']);
    expect(complaints('sum by (host) (muster_rollouts)')).toEqual(['no label host']);
    expect(complaints('muster_leader_commit_seconds > 1')).not.toEqual([]);
    expect(complaints('sum(muster_rollouts')).not.toEqual([]);
  });
});

describe('runbooks', () => {
  it('link only to what is there', () => {
    for (const page of pages()) {
      for (const [, link = ''] of read(`docs/operations/${page}`).matchAll(/\]\(([^)#]+)\)/g)) {
        if (link.startsWith('http')) continue;
        expect(() => read(path.join('docs/operations', link))).not.toThrow();
      }
    }
  });
});

describe('commands in runbooks', () => {
  it('are commands of muster', () => {
    const known = new Set(
      NOUNS.flatMap(({ noun, verbs }) => verbs.map(({ verb }) => `${noun} ${verb}`.trim())),
    );
    for (const one of ['doctor', 'log verify', 'migrate', 'replay', 'restored', 'verify'])
      known.add(one);
    for (const page of pages()) {
      for (const [, command = ''] of read(`docs/operations/${page}`).matchAll(
        /`muster ([^`]*)`/g,
      )) {
        const [noun = '', verb = ''] = command.split(' ');
        expect([page, known.has(noun) || known.has(`${noun} ${verb}`)]).toEqual([page, true]);
      }
    }
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }
  const { panels, templating } = JSON.parse(read('chart/files/dashboard.json')) as {
    panels: readonly Panel[];
    templating: { list: readonly { name: string; type: string; query: string }[] };
  };

  it('asks only for metrics and labels that there are', () => {
    const asked = panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, expr, complaints(expr)] as const),
    );
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter(([, , wrong]) => wrong.length > 0)).toEqual([]);
  });

  it('shows one installation at a time, which is chosen from those that there are', () => {
    const chosen = templating.list.filter(({ type }) => type === 'query');
    expect(chosen.map(({ name }) => name)).toEqual(TARGET);
    for (const { query } of chosen)
      expect(complaints(query.replace(/^label_values\((.*), \w+\)$/, '$1'))).toEqual([]);
    for (const expr of panels.flatMap(({ targets = [] }) => targets.map((one) => one.expr))) {
      const selectors = expr.match(/muster_\w+\W{0,2}\w*/g) ?? [];
      expect(selectors).not.toEqual([]);
      const own = expr.match(/muster_\w+\{namespace="\$namespace",job="\$job"[,}]/g) ?? [];
      expect([expr, own.length]).toEqual([expr, selectors.length]);
    }
  });
});

describe('docs/metrics.md', () => {
  it('is printed from the list of metrics', async () => {
    const rows = Object.entries(METRICS).map(([name, spec]) => {
      const measured = 'measured' in spec ? ' *One process.*' : '';
      const labels = spec.labels.map((label) => `\`${label}\``).join(', ') || '–';
      return `| \`${name}\` | ${spec.type} | ${labels} | ${spec.help}${measured} |`;
    });
    await expect(`${INTRODUCTION}${rows.join('\n')}\n`).toMatchFileSnapshot(
      '../../docs/metrics.md',
    );
  });
});

const INTRODUCTION = `# Metrics

\`GET /metrics\` of every process, in Prometheus' text format. Labels never hold a host, a rollout or free text:
their values are few, whatever the fleet does. What is marked *One process* is counted over the whole
installation by the one process that works, and absent in all others: aggregate it with \`max\`.
Besides these there are \`process_…\` and \`nodejs_…\`: CPU, memory, heap, delays of the event loop and open files, as Node processes have them.

Alerts are in \`chart/files/alerts.yaml\`, each with [a page](operations/README.md) that says what to do; a dashboard
for Grafana is \`chart/files/dashboard.json\`. This page is printed from \`src/telemetry\`
(\`npx vitest run --project unit test/house -u\` rewrites it).

| metric | type | labels | meaning |
|---|---|---|---|
`;
