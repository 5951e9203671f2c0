/** What the guides and the chart itself tell people to do with helm: commands render as written, notes say what is so. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHART, helm, HELM, one, parsed } from './support/helm.ts';

const ROOT = path.dirname(CHART);

/** Commands `helm VERB muster ./chart …` of a page's blocks, as words. */
function commands(page: string, verb: string): string[][] {
  const text = readFileSync(path.join(ROOT, page), 'utf8').replaceAll(/\\\n\s*/g, '');
  const found = [...text.matchAll(new RegExp(`^\\s*helm ${verb} muster ./chart (.*)$`, 'gm'))];
  return found.map(([, words = '']) => words.trim().split(/\s+/));
}

/** What `helm install` prints in the end. */
function notes(...flags: readonly string[]): string {
  const text = helm('install', 'rel', CHART, '--dry-run=client', '--namespace', 'fleet', ...flags);
  return text.slice(text.indexOf('NOTES:'));
}

const [production, trial] = [0, 1].map((i) => commands('docs/guides/install.md', 'install')[i]);

describe.skipIf(HELM === null)('guides', () => {
  it('install as written, in strict mode, and a trial without', () => {
    const strictOf = (flags: readonly string[] = []): unknown => {
      const objects = parsed(helm('template', 'muster', CHART, ...flags));
      return (one(objects, 'ConfigMap')['data'] as Record<string, string>)['MUSTER_STRICT'];
    };
    expect([strictOf(production), strictOf(trial)]).toEqual(['true', 'false']);
    const [ofChart] = commands('chart/README.md', 'install');
    expect(ofChart).toEqual(production);
  });

  it('upgrade with the defaults of the new chart', () => {
    const [upgrade = []] = commands('docs/guides/upgrading.md', 'upgrade');
    expect(upgrade).toContain('--reset-then-reuse-values');
    const known = helm('upgrade', '--help');
    for (const flag of upgrade.filter((word) => word.startsWith('--')))
      expect(known).toContain(`${flag} `);
  });

  it('leave with notes that name the scheme, the first token, and what a trial lacks', () => {
    const strict = notes(...(production ?? []).slice(2));
    expect(strict).toContain('https://localhost:8080/');
    expect(strict).toContain('--bootstrap');
    expect(strict).toContain('point agents at');
    expect(strict).not.toContain('TRIAL');
    const loose = notes(...(trial ?? []).slice(2));
    expect(loose).toContain('http://localhost:8080/');
    expect(loose).toContain('THIS IS A TRIAL');
    expect(loose).toContain('each gets\n401');
    expect(loose).not.toContain('point agents at');
  });
});
