/** The operator's page and rows about so many hosts that the stream leaves their names out. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutHosts } from '../../src/wire/operator.ts';
import { CHROMIUM } from './support/browser.ts';
import type { Replicas } from './support/replicas.ts';
import { openScene, type Scene } from './support/scene.ts';

const REF = 'b16b00c5'.padEnd(40, '0');
const ID = `stable@${REF}`;
/** Their names together are more than a row of the stream holds (64 kB). */
const HOSTS = Array.from(
  { length: 2_000 },
  (_, i) => `host-${String(i).padStart(4, '0')}.${'x'.repeat(30)}`,
);

describe.skipIf(CHROMIUM === null)('the page and rows of many hosts', () => {
  let scene: Scene;
  let replicas: Replicas;
  let page: Page;

  beforeAll(async () => {
    scene = await openScene('page-large-rows', HOSTS, REF);
    ({ replicas, page } = scene);
  }, 120_000);

  afterAll(() => scene.close(), 60_000);

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

  it('leaves the keyboard at the facts of a row when all of them are shown', async () => {
    await page.goto(`${replicas.url}/#/log?kind=rollout_event`);
    const opened = page.locator('.events > li').filter({ hasText: 'RolloutOpened' });
    await opened.getByText('Facts and causes').click();
    await opened.getByRole('button', { name: 'Show all of it' }).focus();
    await page.keyboard.press('Enter');
    await opened.getByText('Left out here').waitFor({ state: 'detached' });
    const focused = await page.evaluate<string>("document.activeElement.ariaLabel ?? ''");
    expect(focused).toMatch(/^Facts of row \d+$/);
  });
});
