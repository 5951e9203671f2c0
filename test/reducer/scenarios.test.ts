/**
 * Scenario transcripts: `scenarios/*.txt` hold the script and what the core made of it; the language is
 * described in `support/script.ts`. After a change read the diff, which is the review, of
 *
 *     npx vitest run test/reducer/scenarios.test.ts -u
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runScript } from './support/script.ts';

const folder = new URL('scenarios/', import.meta.url);

it.each(readdirSync(folder).sort())('%s', async (name) => {
  const path = new URL(name, folder).pathname;
  await expect(runScript(readFileSync(path, 'utf8'))).toMatchFileSnapshot(path);
});
