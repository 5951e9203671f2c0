/** docs/guides/comparison.md says nothing of other systems without a source, and has no source for nothing. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync(
  path.join(import.meta.dirname, '../../docs/guides/comparison.md'),
  'utf8',
);
const [claims = '', listed = ''] = page.split('## Sources');
const sources = [...listed.matchAll(/^(\d+)\. [^<]*<https:\/\/[^>]+>$/gm)].map(([, n]) => n);

/** `what: claim`, of every other system. */
const cells = claims
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| |'))
  .flatMap((line) => {
    const [, what = '', , ...others] = line.split('|').slice(0, -1);
    return others.map((cell) => `${what.trim()}: ${cell.trim()}`);
  });

it('names a source in each cell about another system, or leaves it out', () => {
  expect(cells.length).toBeGreaterThan(50);
  expect(cells.filter((cell) => !/(\[\d+\]|: –)$/.test(cell))).toEqual([]);
  const bullets = claims.match(/^- \*\*[^]*?(?=^- |\n\n)/gm) ?? [];
  expect(bullets).toHaveLength(5);
  expect(bullets.filter((bullet) => !/\[\d+\]\.\s*$/.test(bullet))).toEqual([]);
});

it('has exactly the sources that are named', () => {
  expect(sources).toEqual(sources.map((_, i) => String(i + 1)));
  const named = new Set([...claims.matchAll(/\[(\d+)\]/g)].map(([, n]) => Number(n)));
  expect([...named].sort((a, b) => a - b)).toEqual(sources.map(Number));
});
