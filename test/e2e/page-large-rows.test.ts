/** The operator's page and rows about so many hosts that the stream leaves their names out. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import type { RolloutHosts } from '../../src/wire/operator.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { CHROMIUM, signedIn, startBrowser } from './support/browser.ts';
import { oneWave } from './support/one-wave.ts';
import { startReplicas, type Replicas } from './support/replicas.ts';

const REF = 'b16b00c5'.padEnd(40, '0');
const ID = `stable@${REF}`;
/** Their names together are more than a row of the stream holds (64 kB). */
const HOSTS = Array.from(
  { length: 2_000 },
  (_, i) => `host-${String(i).padStart(4, '0')}.${'x'.repeat(30)}`,
);

describe.skipIf(CHROMIUM === null)('the page and rows of many hosts', () => {
  let replicas: Replicas;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const dir = makeScratchDir('page-large-rows');
    const { key, trustFile } = developmentTrust(dir);
    const release = releaseOf(dir, oneWave(HOSTS, REF, 3_600), key);
    await release.sign(Date.now());
    replicas = await startReplicas({ source: release.source, trustFile });
    browser = await startBrowser();
    page = await signedIn(browser, replicas.url);
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await replicas.stop();
  }, 60_000);

  it('reads the hosts of a rollout again when such a row holds them', async () => {
    // As if they had been read before anything held them.
    let before = true;
    await page.route('**/v1/rollouts/*/hosts?*', async (route) => {
      const answer = await route.fetch();
      const list = (await answer.json()) as RolloutHosts;
      const hosts = list.hosts.map((host) => ({ ...host, blocked: host.blocked && !before }));
      await route.fulfill({ response: answer, json: { ...list, hosts } });
    });
    await page.goto(`${replicas.url}/#/rollouts/${encodeURIComponent(ID)}`);
    const last = HOSTS.at(-1) ?? '';
    await page.getByTitle(`${last}: Pending`, { exact: true }).waitFor();
    before = false;
    const paused = await fetch(`${replicas.url}/v1/fleet/pause`, {
      method: 'POST',
      headers: {
        'x-muster-dev-identity': 'operator:bob',
        'content-type': 'application/json',
        'idempotency-key': 'bob-1',
      },
      body: JSON.stringify({ reason: 'bob was here' }),
    });
    expect(paused.status).toBe(200);
    await page.getByTitle(`${last}: Pending, held`, { exact: true }).waitFor();
    const held = await page.getByTitle(/: Pending, held$/).count();
    expect(held).toBe(HOSTS.length);
  }, 60_000);
});
