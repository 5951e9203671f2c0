/** The operator's page about who is held and who is closed, and where the keyboard goes on after a command. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, seriousFindings } from './support/browser.ts';
import type { Replicas } from './support/replicas.ts';
import { openScene, type Scene } from './support/scene.ts';

const REF = 'beefcafe'.padEnd(40, '0');
const ID = `stable@${REF}`;
const HOSTS = ['a1', 'a2', 'a3'];

describe.skipIf(CHROMIUM === null)('the page', () => {
  let scene: Scene;
  let replicas: Replicas;
  let page: Page;

  beforeAll(async () => {
    scene = await openScene('page-held', HOSTS, REF);
    ({ replicas, page } = scene);
    await page.getByText(ID.slice(0, 15)).first().waitFor();
  }, 120_000);

  afterAll(() => scene.close(), 60_000);

  const post = (path: string, as: string, body: object): Promise<Response> =>
    fetch(`${replicas.url}${path}`, {
      method: 'POST',
      headers: {
        ...{ 'x-muster-dev-identity': as, 'content-type': 'application/json' },
        'idempotency-key': path,
      },
      body: JSON.stringify(body),
    });

  const go = async (address: string): Promise<void> => {
    await page.goto(`${replicas.url}/#/${address}`);
    await page.locator('h1').waitFor();
  };

  const focused = () =>
    page.evaluate<string>(
      "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()",
    );

  /** By keyboard alone, from the button that has the focus. */
  const carryOut = async (label: string, reason: string): Promise<void> => {
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await page.keyboard.type(reason);
    for (let tabs = 0; tabs < 5; tabs += 1) {
      await page.keyboard.press('Tab');
      if ((await focused()) === label) break;
    }
    await page.keyboard.press('Enter');
    await dialog.getByText(/^Done: log row/).waitFor();
  };

  it.each([
    ['', 'Pause stable', 'Resume stable'],
    ['', 'Pause the fleet', 'Resume the fleet'],
    ['hosts/a2', 'Hold a2', 'Release a2'],
  ])('at #/%s leaves the keyboard where it was: %s, %s', async (at, label, opposite) => {
    await go(at);
    for (const [own, other] of [
      [label, opposite],
      [opposite, label],
    ] as const) {
      await page.getByRole('button', { name: own, exact: true }).focus();
      await carryOut(own, 'by keyboard');
      expect(await focused()).toBe('Close');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await expect.poll(focused).toBe(other);
    }
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(focused).toBe(label);
  });

  it('keeps the keyboard on the button that asks, whatever is answered', async () => {
    const refused = (status: number, code: string) => ({
      ...{ status, contentType: 'application/problem+json' },
      json: { status, code, title: 'refused', detail: `refused: ${code}` },
    });
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const sent: string[] = [];
    await page.route('**/v1/hosts/a1/hold*', async (route) => {
      sent.push(new URL(route.request().url()).search);
      if (sent.length === 1) await answered;
      if (sent.length === 2) await route.fulfill(refused(503, 'not-accepted'));
      else if (sent.length === 3) await route.fulfill(refused(409, 'illegal-command'));
      else await route.continue();
    });
    await go('hosts/a1');
    await page.getByRole('button', { name: 'Hold a1' }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('by keyboard');
    await dialog.getByRole('button', { name: 'What would happen?' }).focus();
    await page.keyboard.press('Enter');
    await dialog.getByText('Asking…').waitFor();
    expect(await focused()).toBe('What would happen?');
    // Once is enough.
    await page.keyboard.press('Enter');
    answer();
    await dialog.getByText('Nothing happened yet').waitFor();
    expect(await focused()).toBe('What would happen?');
    await page.keyboard.press('Tab');
    for (const code of ['not-accepted', 'illegal-command']) {
      await page.keyboard.press('Enter');
      await dialog.getByText(`refused: ${code}`).waitFor();
      expect(await focused()).toBe('Hold a1');
    }
    expect(await seriousFindings(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await dialog.getByText(/^Done: log row/).waitFor();
    expect(await focused()).toBe('Close');
    expect(sent).toEqual(['?dryRun=true', '', '', '']);
    await page.keyboard.press('Enter');
    await page.unroute('**/v1/hosts/a1/hold*');
    await post('/v1/hosts/a1/release', 'operator:bob', { reason: 'seen' });
  });

  it('goes on beside a button that a command takes away', async () => {
    await go('hosts/a3');
    await page.getByRole('button', { name: 'Write it off' }).focus();
    await carryOut('Write it off', 'its disk is dead');
    await page.getByRole('button', { name: 'Write it off', includeHidden: true }).waitFor({
      state: 'detached',
    });
    await page.keyboard.press('Enter');
    await expect.poll(focused).toBe('Hold a3');
  });

  it('counts and filters closed hosts alike', async () => {
    await go(`rollouts/${encodeURIComponent(ID)}`);
    const filters = page.getByRole('group', { name: 'Show hosts that are' });
    await filters.getByRole('button', { name: 'closed 1' }).click();
    expect(await page.locator('.cell').count()).toBe(1);
    await page.getByTitle('a3: Pending, closed: written-off').waitFor();
    await filters.getByRole('button', { name: 'Pending 2' }).click();
    expect(await page.locator('.cell').count()).toBe(2);
    expect(await seriousFindings(page)).toEqual([]);
  });

  it('says of a rollout that is through what holds a host that returned, and else nothing', async () => {
    // A fleet that comes through takes minutes; the page knows of it by this one word.
    await page.route('**/lifecycle', async (route) => {
      const response = await route.fetch();
      const life = (await response.json()) as object;
      await route.fulfill({ response, json: { ...life, state: 'Terminal' } });
    });
    await page.reload();
    await page.getByRole('heading', { name: 'What holds hosts of it' }).waitFor();
    await page.getByText('host-unreachable').first().waitFor();
    await page.route('**/blockers', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as object;
      await route.fulfill({ response, json: { ...answer, rollout: [], hosts: [] } });
    });
    const asked = page.waitForResponse('**/blockers');
    await page.reload();
    await page.getByRole('heading', { name: 'Terminal' }).waitFor();
    await asked;
    await page.getByText('of 3 done').waitFor();
    expect(await page.getByRole('heading', { name: 'What holds' }).count()).toBe(0);
    await page.unrouteAll({ behavior: 'wait' });
  });

  it('lets nobody turn around what it says itself', async () => {
    const reason = 'x \u202egnihton yas I';
    await post('/v1/hosts/a1/hold', 'operator:bob', { reason });
    await go('hosts/a1');
    await page.locator('.notice bdi').getByText(reason).waitFor();
    expect(await page.locator('.blockers').allTextContents()).not.toContain('\u202e');
    const said = (await page.locator('.blockers').allTextContents()).join(' ');
    expect(said).toContain('gnihton yas I');
    expect(said).not.toContain('\u202e');
  });
});
