/** The operator's page in a real Chromium, against real processes, while the leader is killed. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/cli/dev/free-port.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { run } from '../cli/support.ts';
import { startNode } from '../support/processes.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { isReady, terminate } from '../support/serving.ts';
import { CHROMIUM, seriousFindings, startBrowser } from './support/browser.ts';
import { startFleet, type TestFleet } from './support/fleet.ts';
import { oneWave } from './support/one-wave.ts';
import { startReplicas, type Replicas } from './support/replicas.ts';

const REF = 'beefcafe'.padEnd(40, '0');
const ID = `stable@${REF}`;
const HOSTS = Array.from({ length: 30 }, (_, i) => `host-${i + 1}`);

/** Screenshots for people go here, when it is there. */
const SHOTS = path.resolve('.muster/screenshots');

/** What a command of `muster` writes to its standard output. */
async function muster(url: string, token: string, args: readonly string[]): Promise<string> {
  const [noun = '', ...rest] = args;
  const env = { MUSTER_URL: url, ...(token === '' ? {} : { MUSTER_TOKEN: token }) };
  const { code, stdout, stderr } = await run((given, io) => runNoun(noun, given, io, env), ...rest);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

describe.skipIf(CHROMIUM === null)('the page', () => {
  let replicas: Replicas;
  let fleet: TestFleet;
  let browser: Browser;
  let page: Page;
  const foreign: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    const dir = makeScratchDir('page');
    const { key, trustFile } = developmentTrust(dir);
    const release = releaseOf(dir, oneWave(HOSTS, REF, 3_600), key);
    await release.sign(Date.now());
    replicas = await startReplicas({ source: release.source, trustFile });
    fleet = startFleet({ endpoint: replicas.url, hosts: HOSTS, trustFile });
    browser = await startBrowser();
    const context = await browser.newContext({
      viewport: { width: 1600, height: 1000 },
      bypassCSP: false,
    });
    page = await context.newPage();
    page.on('request', (request) => {
      if (!request.url().startsWith(replicas.url) && !request.url().startsWith('data:')) {
        foreign.push(request.url());
      }
    });
    page.on('pageerror', (error) => errors.push(error.message));
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await fleet.stop();
    await replicas.stop();
  }, 60_000);

  const shot = async (name: string): Promise<void> => {
    if (existsSync(SHOTS))
      await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
  };

  it('shows nothing before the server accepts the credential', async () => {
    await page.goto(replicas.url);
    await page.getByLabel('Operator token').fill('not a token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Operator token').fill('operator:ada');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Fleet' }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByText('ada admin').waitFor();
    await page.getByRole('button', { name: 'Pause the fleet' }).waitFor();
    await shot('fleet');
  });

  it('shows a viewer no command, and keeps what proves them out of addresses and cookies', async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    await other.goto(replicas.url);
    await other.getByLabel('Operator token').fill('operator:bob:viewer');
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('bob viewer').waitFor();
    await other.getByRole('heading', { name: 'Channels' }).waitFor();
    expect(await other.getByRole('button', { name: /^(Pause|Resume)/ }).count()).toBe(0);
    expect(other.url()).not.toContain('bob');
    expect(await context.cookies()).toEqual([]);
    await context.close();
  });

  it("keeps a token's holder from what is beyond its channels, and says why", async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    let channels = ['edge'];
    // A token for a channel that this fleet does not have cannot be made.
    await other.route('**/v1/whoami', async (route) => {
      const response = await route.fetch();
      const { commands = [], ...me } = (await response.json()) as { commands?: string[] };
      const allowed = commands.filter((name) => !name.endsWith('Fleet'));
      await route.fulfill({ response, json: { ...me, commands: allowed, channels } });
    });
    await other.goto(`${replicas.url}/#/hosts/host-2`);
    await other.getByLabel('Operator token').fill('operator:carl:operator');
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('carl operator of edge').waitFor();
    const hold = other.getByRole('button', { name: 'Hold host-2' });
    await hold.waitFor();
    expect([await hold.isDisabled(), await hold.getAttribute('title')]).toEqual([
      ...[
        true,
        'carl may command edge, and this reaches stable: it takes a token that may command all of that',
      ],
    ]);
    expect(await seriousFindings(other)).toEqual([]);
    channels = ['stable'];
    await other.goto(`${replicas.url}/#/`);
    await other.reload();
    const pause = other.getByRole('button', { name: 'Pause stable' });
    await pause.waitFor();
    expect(await pause.isEnabled()).toBe(true);
    expect(await other.getByRole('button', { name: 'Pause the fleet' }).count()).toBe(0);
    await context.close();
  });

  it('admits by token alone where no development identity is believed', async () => {
    const port = await freePort();
    const env = { MUSTER_DATABASE_URL: replicas.databaseUrl, MUSTER_STRICT: 'false' };
    const serve = ['dist/cli/muster.js', 'serve', '--roles', 'api', '--drain-delay-seconds', '0'];
    const other = startNode([...serve, '--listen-port', String(port)], { env });
    await expect.poll(() => isReady(port), { timeout: 30_000 }).toBe(true);
    const url = `http://127.0.0.1:${port}`;
    const root = await muster(url, '', [
      ...['token', 'create', 'root', '--role', 'admin', '-r', 'first', '--bootstrap'],
      ...['--database-url', replicas.databaseUrl],
    ]);
    const signedIn = async (name: string, role: string): Promise<Page> => {
      const secret = await muster(url, root, [
        ...['token', 'create', name, '--role', role, '-r', 'a test'],
      ]);
      const own = await (await browser.newContext()).newPage();
      await own.goto(url);
      await own.getByLabel('Operator token').fill(secret);
      await own.getByRole('button', { name: 'Sign in' }).click();
      await own.getByText(`${name} ${role}`).waitFor();
      await own.goto(`${url}/#/hosts/host-2`);
      await own.getByRole('heading', { name: 'What holds it now' }).waitFor();
      return own;
    };
    const brakes = (own: Page) => own.getByRole('button', { name: /^(Hold|Withdraw|Write)/ });
    const ops = await signedIn('ops', 'operator');
    expect(await brakes(ops).count()).toBeGreaterThan(0);
    const eyes = await signedIn('eyes', 'viewer');
    expect(await brakes(eyes).count()).toBe(0);
    await muster(url, root, ['token', 'revoke', 'eyes', '-r', 'done']);
    await eyes.getByLabel('Operator token').waitFor();
    await terminate(other);
  }, 120_000);

  it('follows a rollout, host by host, with signs beside colours', async () => {
    await page.goto(`${replicas.url}/#/rollouts/${encodeURIComponent(ID)}`);
    await page
      .locator('.cell.s-Soaking')
      .nth(HOSTS.length - 1)
      .waitFor();
    expect(await page.locator('.cell').count()).toBe(HOSTS.length);
    const first = page.locator('.cell').first();
    expect(await first.getAttribute('aria-label')).toBe('host-1: Soaking');
    await first.focus();
    await page.keyboard.press('ArrowRight');
    expect(await page.evaluate('document.activeElement.title')).toBe('host-10: Soaking');
    await shot('rollout');
  });

  it('says of a reverted rollout what holds it, and offers to clear and to cancel it', async () => {
    // A fleet that rolls back takes minutes; the page knows of it by this one word.
    await page.route('**/lifecycle', async (route) => {
      const response = await route.fetch();
      const life = (await response.json()) as object;
      await route.fulfill({ response, json: { ...life, state: 'Reverted' } });
    });
    await page.reload();
    await page.getByRole('heading', { name: 'Reverted' }).waitFor();
    await page.getByRole('button', { name: 'Clear the failures' }).waitFor();
    await page.getByRole('button', { name: 'Cancel the rollout' }).waitFor();
    await page.getByRole('heading', { name: 'What holds it' }).waitFor();
    // One that is under way would be answered twice.
    await page.unrouteAll({ behavior: 'wait' });
  });

  it('carries out a command with a reason, once, and shows who did it', async () => {
    await page.goto(`${replicas.url}/#/hosts/host-1`);
    await page.getByRole('button', { name: 'Hold host-1' }).click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Hold host-1' });
    expect(await confirm.isDisabled()).toBe(true);
    // A word wider than a phone, which the sweep over both widths meets.
    await dialog.getByLabel('Reason, for the log').fill(`disk alarm ${ID}`);
    // A fleet that waits would be in the way of all else here; the page knows of it by this one row.
    await page.route('**/hold?dryRun=true', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as { rows: object[] };
      const payload = { scope: 'host', gates: ['host-hold', 'wave-promotion:1'], hosts: HOSTS };
      const row = { kind: 'gate_decision', rolloutId: ID, channel: 'stable', payload };
      await route.fulfill({ response, json: { ...answer, rows: [...answer.rows, row] } });
    });
    await dialog.getByRole('button', { name: 'What would happen?' }).click();
    await dialog.getByText('Nothing happened yet').waitFor();
    await dialog.getByText('Command HoldHost').waitFor();
    await dialog.getByText('Held by host-hold, wave-promotion:1 (30 hosts)').waitFor();
    await dialog.getByText('host-1, host-2, host-3, host-4, host-5 and 25 more').waitFor();
    await shot('command');
    await confirm.click();
    await dialog.getByText(/^Done: log row/).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByText(/Held by ada,/).waitFor();
    await page.getByText('Command HoldHost').waitFor();
    await shot('host');
  });

  it('shows the log with the causes of a row', async () => {
    await page.goto(`${replicas.url}/#/log?kind=transition&host=host-1`);
    const row = page.locator('.events > li').first();
    await row.getByText('Facts and causes').click();
    await row.getByText('ActivationCompleted', { exact: true }).waitFor();
    await shot('log');
  });

  it.each(['light', 'dark'] as const)(
    'is clean for axe at both widths, %s',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const width of [1600, 390]) {
        await page.setViewportSize({ width, height: 900 });
        for (const at of [
          '',
          `rollouts/${encodeURIComponent(ID)}`,
          'hosts/host-1',
          'log',
          'health',
        ]) {
          await page.goto(`${replicas.url}/#/${at}`);
          await page.reload();
          await page.locator('h1').waitFor();
          await expect.poll(() => page.getByText('Loading…').count()).toBe(0);
          expect([at, width, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([
            ...[at, width, width],
          ]);
          expect(await page.locator('nav a[aria-current="page"]').count()).toBeLessThanOrEqual(1);
          expect([at, width, await seriousFindings(page)]).toEqual([at, width, []]);
          await shot(`${colorScheme}-${width}-${at.split('/')[0] ?? ''}`);
        }
      }
      await page.setViewportSize({ width: 1600, height: 1000 });
    },
    60_000,
  );

  it('stays live when the leader is killed', async () => {
    await page.goto(`${replicas.url}/#/health`);
    const { replica, epoch } = await replicas.leader();
    await page.locator('.leader', { hasText: replica.name }).waitFor();
    replica.process.kill('SIGKILL');
    await page.getByText(`term ${epoch + 1}.`).waitFor({ timeout: 20_000 });
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 20_000 });
    expect(await page.locator('.leader').textContent()).not.toBe(replica.name);
    await shot('failover');
  });

  it('asked nobody else, and made no errors', () => {
    expect(foreign).toEqual([]);
    expect(errors).toEqual([]);
  });
});
