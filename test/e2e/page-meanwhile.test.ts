/** The operator's page in a real Chromium, while somebody else gives commands. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM } from './support/browser.ts';
import type { Replicas } from './support/replicas.ts';
import { openScene, type Scene } from './support/scene.ts';

const REF = 'beefcafe'.padEnd(40, '0');
const ID = `stable@${REF}`;
const HOSTS = ['a1', 'a2', 'a3', 'a4', 'a5'];

describe.skipIf(CHROMIUM === null)('the page while others act', () => {
  let scene: Scene;
  let replicas: Replicas;
  let page: Page;
  let keys = 0;

  beforeAll(async () => {
    scene = await openScene('page-meanwhile', HOSTS, REF);
    ({ replicas, page } = scene);
    await page.getByText(ID.slice(0, 15)).first().waitFor();
  }, 120_000);

  afterAll(() => scene.close(), 60_000);

  /** Bob's command, by the API; resolves to the code of a refusal, else to its status. */
  async function bob(path: string): Promise<string> {
    const answer = await fetch(`${replicas.url}${path}`, {
      method: 'POST',
      headers: {
        'x-muster-dev-identity': 'operator:bob',
        'content-type': 'application/json',
        'idempotency-key': `bob-${(keys += 1)}`,
      },
      body: JSON.stringify({ reason: 'bob was here' }),
    });
    const { code, status } = (await answer.json()) as { code?: string; status: string };
    return code ?? status;
  }

  const agent = (what: string, body: object, name = 'a2'): Promise<Response> =>
    fetch(`${replicas.url}/v1/agent/${what}`, {
      method: 'POST',
      headers: { 'x-muster-dev-identity': `agent:${name}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  const go = async (address: string): Promise<void> => {
    await page.goto(`${replicas.url}/#/${address}`);
    await page.locator('h1').waitFor();
  };

  const commands = async (): Promise<unknown[]> =>
    (
      await replicas.sql`
        SELECT payload->'command'->>'command' AS name, actor
        FROM muster.event_log WHERE kind = 'operator_command' ORDER BY seq`
    ).map(({ name, actor }) => `${String(name)} by ${String(actor)}`);

  it.each([
    {
      at: '',
      label: 'Pause the fleet',
      opposite: 'Resume the fleet',
      first: '/v1/fleet/pause',
      back: '/v1/fleet/resume',
    },
    {
      at: '',
      label: 'Pause stable',
      opposite: 'Resume stable',
      first: '/v1/channels/stable/pause',
      back: '/v1/channels/stable/resume',
    },
    {
      at: 'hosts/a3',
      label: 'Hold a3',
      opposite: 'Release a3',
      first: '/v1/hosts/a3/hold',
      back: '/v1/hosts/a3/release',
    },
  ])('keeps $label what it was, and sends nothing of it', async (one) => {
    await go(one.at);
    await page.getByRole('button', { name: one.label }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('disk alarms');
    expect(await bob(one.first)).toBe('applied');
    await page.getByRole('button', { name: one.opposite, includeHidden: true }).waitFor();
    const before = await commands();
    await dialog.getByText('This changed since the dialog opened').waitFor();
    const confirm = dialog.getByRole('button', { name: one.label });
    expect(await confirm.isDisabled()).toBe(true);
    await page.evaluate("document.querySelector('dialog form').requestSubmit()");
    expect(await dialog.getByRole('heading').textContent()).toBe(one.label);
    expect(await dialog.getByRole('button', { name: one.opposite }).count()).toBe(0);
    // A brake that may be put on again is on offer again.
    expect(await bob(one.back)).toBe('applied');
    await confirm.and(page.locator('[aria-disabled=false]')).waitFor();
    expect(await commands()).toEqual([...before, expect.stringContaining('by bob')]);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('refuses to release what was released and held again, and shows the end of its own commands', async () => {
    expect(await bob('/v1/hosts/a3/hold')).toBe('applied');
    await go('hosts/a3');
    await page.getByRole('button', { name: 'Release a3' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('enough');
    expect(await bob('/v1/hosts/a3/release')).toBe('applied');
    expect(await bob('/v1/hosts/a3/hold')).toBe('applied');
    await dialog.getByText('This changed since the dialog opened').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Release a3' }).click();
    await dialog.getByLabel('Reason, for the log').fill('enough');
    await dialog.getByRole('button', { name: 'Release a3' }).click();
    await dialog.getByText(/^Done: log row/).waitFor();
    await page.getByRole('button', { name: 'Hold a3', includeHidden: true }).waitFor();
    expect(await dialog.getByRole('heading').textContent()).toBe('Release a3');
    expect(await dialog.getByText('This changed').count()).toBe(0);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('releases a host that moved on while the dialog was open: the hold is the same', async () => {
    const at = new Date().toISOString();
    const tell = (event: object): Promise<Response> =>
      agent('events', { hostname: 'a2', rolloutId: ID, event });
    await agent('heartbeat', { hostname: 'a2', current_closure: 'old', at });
    const ack = { kind: 'DispatchAck', currentClosureAtDispatch: 'old', receivedAt: at, seq: 1 };
    expect((await tell(ack)).status).toBe(204);
    expect(await bob('/v1/hosts/a2/hold')).toBe('applied');
    await go('hosts/a2');
    await page.getByText('Acknowledged').waitFor();
    await page.getByRole('button', { name: 'Release a2' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('seen');
    const start = { kind: 'ActivationStarted', startedAt: at, switchMethod: 'switch', seq: 2 };
    expect((await tell(start)).status).toBe(204);
    await page.getByText('Activation began').waitFor();
    await dialog.getByRole('button', { name: 'Release a2' }).click();
    await dialog.getByText(/^Done: log row/).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('writes off a host that soaks, whatever its probes report meanwhile', async () => {
    let seq = 0;
    const tell = async (event: object): Promise<void> => {
      const told = { hostname: 'a3', rolloutId: ID, event: { ...event, seq: (seq += 1) } };
      expect((await agent('events', told, 'a3')).status).toBe(204);
    };
    const at = new Date().toISOString();
    const fails = (failureReason: string): Promise<void> =>
      tell({
        ...{ kind: 'ProbeResult', probeName: 'http', mode: 'enforce', status: 'fail' },
        ...{ observedAt: new Date().toISOString(), failureReason },
      });
    await agent('heartbeat', { hostname: 'a3', current_closure: 'old', at }, 'a3');
    await tell({ kind: 'DispatchAck', currentClosureAtDispatch: 'old', receivedAt: at });
    await tell({ kind: 'ActivationStarted', startedAt: at, switchMethod: 'switch' });
    await tell({
      ...{ kind: 'ActivationCompleted', completedAt: at, exitCode: 0 },
      observedCurrentClosure: 'beefcafe-system-a3',
    });
    const probes = [{ probeName: 'http', kind: 'http', mode: 'enforce' }];
    await tell({ kind: 'ProbeTopologyDeclared', probes, declaredAt: at });
    await fails('500');
    await go('hosts/a3');
    await page.getByText(': 500').first().waitFor();
    await page.getByRole('button', { name: 'Write it off' }).click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Write it off' });
    await dialog.getByLabel('Reason, for the log').fill('its disk is dead');
    await fails('501');
    await page.getByText(': 501').first().waitFor();
    expect(await confirm.isEnabled()).toBe(true);
    // The server is ahead of the page: that is said, until the page has caught up.
    let mayRead: () => void = () => undefined;
    const reading = new Promise<void>((resolve) => (mayRead = resolve));
    await page.route('**/v1/hosts/a3', async (route) => {
      await reading;
      await route.continue();
    });
    await fails('502');
    await confirm.click();
    await dialog.getByText('the subject changed at seq').waitFor();
    expect(await confirm.isDisabled()).toBe(true);
    mayRead();
    await confirm.and(page.locator('[aria-disabled=false]')).click();
    await dialog.getByText(/^Done: log row/).waitFor();
    await page.unroute('**/v1/hosts/a3');
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('does not withdraw a dispatch that is another one meanwhile', async () => {
    const at = new Date().toISOString();
    await agent('heartbeat', { hostname: 'a1', current_closure: 'old', at }, 'a1');
    await go('hosts/a1');
    await page.getByRole('button', { name: 'Withdraw its dispatch' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('not yet');
    // Never offered, it goes with the hold; the release grants another one.
    expect(await bob('/v1/hosts/a1/hold')).toBe('applied');
    expect(await bob('/v1/hosts/a1/release')).toBe('applied');
    await dialog.getByText('This changed since the dialog opened').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('asks on about a command that nobody has decided yet, and says how it ends', async () => {
    const keys: (string | undefined)[] = [];
    let isLeading = false;
    const away = { code: 'not-ready', detail: 'nobody answers here now' };
    await page.route(/\/v1\/hosts\/a4\/(hold|release)$/, async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      if (isLeading) await route.continue();
      else if (keys.length % 2 === 1)
        await route.fulfill({ status: 202, json: { status: 'queued', seqs: [] } });
      else await route.fulfill({ status: 503, json: away });
    });
    const dialog = page.getByRole('dialog');
    const press = async (label: string): Promise<void> => {
      keys.length = 0;
      isLeading = false;
      await page.getByRole('button', { name: label }).click();
      await dialog.getByLabel('Reason, for the log').fill('meanwhile');
      await dialog.getByRole('button', { name: label }).click();
      await dialog.locator('.notice').getByText('Taken and durable, and not decided yet').waitFor();
      await dialog.getByText('Just now: nobody answers here now.').waitFor();
      expect(await dialog.locator('.good').count()).toBe(0);
      expect(await dialog.getByRole('button', { name: label }).count()).toBe(0);
    };
    await go('hosts/a4');
    await press('Hold a4');
    isLeading = true;
    await dialog.getByText(/^Done: log row/).waitFor();
    expect(new Set(keys).size).toBe(1);
    await dialog.getByRole('button', { name: 'Close' }).click();

    await press('Release a4');
    expect(await bob('/v1/hosts/a4/release')).toBe('applied');
    isLeading = true;
    await dialog.getByText('the subject changed at seq').waitFor();
    await dialog.getByRole('button', { name: 'Release a4' }).waitFor();
    expect(new Set(keys).size).toBe(1);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.unroute(/\/v1\/hosts\/a4\/(hold|release)$/);
  });

  it('says of a refused command in the log that it was refused', async () => {
    await go('log?kind=operator_command');
    expect(await bob('/v1/hosts/a3/release')).toBe('illegal-command');
    await page.getByText('Command ReleaseHost refused: illegal-command').waitFor();
  });

  it('shows in the log of a host what others share with it, as it comes', async () => {
    await go('log?host=a5');
    await page.getByText('Command PauseFleet').first().waitFor();
    const rows = page.locator('.events > li');
    const pauses = page.getByText('Command PauseChannel');
    const before = await pauses.count();
    expect(await bob('/v1/channels/stable/pause')).toBe('applied');
    await pauses.nth(before).waitFor();
    const live = await rows.locator('.seq').allTextContents();
    expect(await bob('/v1/channels/stable/resume')).toBe('applied');
    await page.getByText('Command ResumeChannel').nth(before).waitFor();
    await page.reload();
    await page.getByText('Command ResumeChannel').nth(before).waitFor();
    expect(await rows.locator('.seq').allTextContents()).toEqual(expect.arrayContaining(live));
  });

  it('shows in the grid who is held by its dispatch alone, and no more once it moves', async () => {
    await go(`rollouts/${encodeURIComponent(ID)}`);
    await page.getByTitle('a1: Pending, held', { exact: true }).waitFor();
    await page.getByTitle('a2: Activating', { exact: true }).waitFor();
    const at = new Date().toISOString();
    const event = { kind: 'ActivationDeferred', component: 'kernel', deferredAt: at, seq: 3 };
    expect((await agent('events', { hostname: 'a2', rolloutId: ID, event })).status).toBe(204);
    await page.getByTitle('a2: Deferred, held', { exact: true }).waitFor();
  });

  it('shows a write-off in the grid and a hold in the list of hosts, as they come', async () => {
    await go(`rollouts/${encodeURIComponent(ID)}`);
    await page.getByTitle(/^a4: Pending/).waitFor();
    expect(await bob('/v1/hosts/a4/write-off')).toBe('applied');
    await page.getByTitle('a4: Pending, closed: written-off').waitFor();
    await page.getByText('2 of 5 done').waitFor();
    await go('');
    const row = page.getByRole('listitem').filter({ hasText: /^a5 / });
    await row.waitFor();
    expect(await bob('/v1/hosts/a5/hold')).toBe('applied');
    await row.getByText(', held').waitFor();
  });

  it('keeps the hosts of a rollout in reach, however many waves wait, in their order', async () => {
    await page.route('**/blockers', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as object;
      const hosts = Array.from({ length: 29 }, (_, i) => ({
        ...{
          gate: 'wave-promotion',
          key: `wave-promotion:${i + 1}`,
          held: 1,
          total: 0,
          hosts: [],
        },
        ...{ because: `it is in wave ${i + 1}`, releasedBy: 'wave 0 is done', examples: ['a1'] },
      }));
      hosts.sort((a, b) => (a.key < b.key ? -1 : 1));
      await route.fulfill({ response, json: { ...answer, rollout: [], hosts } });
    });
    await go(`rollouts/${encodeURIComponent(ID)}`);
    await page.getByText('24 more reasons').waitFor();
    expect(await page.getByText(/^it is in wave/).allTextContents()).toEqual(
      Array.from({ length: 29 }, (_, i) => `it is in wave ${i + 1}`),
    );
    expect(await page.getByText('it is in wave 6', { exact: true }).isVisible()).toBe(false);
    const held = await page.locator('.blockers summary').allTextContents();
    expect([held.length, ...new Set(held)]).toEqual([29, 'Hosts it holds: a1']);
    await page.unroute('**/blockers');
  });

  it('says that no host has a name like that, instead of showing the others', async () => {
    await go('');
    const name = page.getByLabel('Name begins with');
    await name.fill('a 1');
    await page.getByText('No host is called so').waitFor();
    expect(await page.getByRole('listitem').filter({ hasText: /^a5 / }).count()).toBe(0);
    await name.fill('a5');
    await page.getByRole('listitem').filter({ hasText: /^a5 / }).waitFor();
  });
});
