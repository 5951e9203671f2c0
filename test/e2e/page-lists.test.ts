/** The operator's page where lists and names are long: nothing is cut in silence, and nobody clears what they did not mean. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CHROMIUM, seriousFindings } from './support/browser.ts';
import type { Replicas } from './support/replicas.ts';
import { openScene, type Scene } from './support/scene.ts';

const REF = 'feedface'.padEnd(40, '0');
const ID = `stable@${REF}`;
/** As long as a name may be, and nowhere to break it. */
const LONG = 'h'.repeat(253);
const AT = '2026-05-16T01:27:01.000Z';

const deferralOf = (n: number) => ({
  ...{ hostname: `n${String(n).padStart(5, '0')}`, rolloutId: `stable@${REF}`, channel: 'stable' },
  ...{ targetClosureHash: 'c', component: 'kernel', deferredAt: AT },
});
const quarantineOf = (n: number) => ({
  ...{ channel: 'stable', closure: `${String(n).padStart(5, '0')}-${'x'.repeat(60)}`, seq: n + 1 },
  ...{ hostname: 'a1', rolloutId: `stable@${REF}`, at: AT },
});

describe.skipIf(CHROMIUM === null)('the page and what is long', () => {
  let scene: Scene;
  let replicas: Replicas;
  let page: Page;

  beforeAll(async () => {
    scene = await openScene('page-lists', ['a1', LONG], REF);
    ({ replicas, page } = scene);
    await page
      .getByText(`stable@${REF.slice(0, 8)}`)
      .first()
      .waitFor();
  }, 120_000);

  beforeEach(() => page.unrouteAll({ behavior: 'wait' }));

  afterAll(() => scene.close(), 60_000);

  /** The list `name` as if it had `rows`, page by page as the server gives it. */
  const pretend = (name: string, rows: readonly object[]) =>
    page.route(`**/v1/${name}?*`, async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const from = Number(query.get('cursor') ?? 0);
      const to = from + Math.min(Number(query.get('limit')), 1_000);
      const more = to <= rows.length ? { nextCursor: String(to) } : {};
      await route.fulfill({ json: { [name]: rows.slice(from, to), ...more } });
    });

  let rows = 0;
  /** A row of the log that concerns every list: somebody holds a host, or lets it go. */
  const news = async (): Promise<void> => {
    const what = rows % 2 === 0 ? 'hold' : 'release';
    rows += 1;
    const taken = await fetch(`${replicas.url}/v1/hosts/a1/${what}`, {
      method: 'POST',
      headers: {
        'x-muster-dev-identity': 'operator:ada',
        'content-type': 'application/json',
        'idempotency-key': `news-${String(rows)}`,
      },
      body: JSON.stringify({ reason: 'news' }),
    });
    expect(taken.status).toBe(200);
  };

  const overview = async (): Promise<void> => {
    await page.goto(`${replicas.url}/#/`);
    await page.reload();
    await page.getByRole('heading', { name: 'Fleet' }).waitFor();
  };

  it('says that a list goes on, and shows the rest of it', async () => {
    await pretend(
      'deferrals',
      Array.from({ length: 2_500 }, (_, n) => deferralOf(n)),
    );
    await overview();
    const section = page.getByRole('region', { name: 'Waiting for a reboot' });
    await section.getByText('The first 100 are shown.').waitFor();
    expect(await section.getByRole('listitem').count()).toBe(100);
    const more = section.getByRole('button', { name: 'Show more hosts' });
    await more.click();
    await section.getByText('The first 1,100 are shown.').waitFor();
    expect(await section.getByRole('listitem').count()).toBe(1_100);
    await more.click();
    await section.getByText('The first 2,100 are shown.').waitFor();
    await more.click();
    await section.getByText('n02499').waitFor();
    expect(await section.getByRole('listitem').count()).toBe(2_500);
    expect(await section.getByText('are shown').count()).toBe(0);
  });

  it('goes on by keyboard at the first row that more of a list brings', async () => {
    await pretend(
      'deferrals',
      Array.from({ length: 1_300 }, (_, n) => deferralOf(n)),
    );
    await overview();
    const section = page.getByRole('region', { name: 'Waiting for a reboot' });
    for (const first of ['n00100', 'n01100']) {
      await section.getByRole('button', { name: 'Show more hosts' }).focus();
      await page.keyboard.press('Enter');
      await section.getByText(first).waitFor();
      expect(await page.evaluate('document.activeElement.textContent')).toBe(first);
    }
  });

  it('does not say so of a list that just fills what is shown', async () => {
    await pretend(
      'quarantines',
      Array.from({ length: 100 }, (_, n) => quarantineOf(n)),
    );
    await overview();
    const section = page.getByRole('region', { name: 'Quarantined closures' });
    await section.getByRole('listitem').nth(99).waitFor();
    expect(await section.getByText('are shown').count()).toBe(0);
  });

  it('says that a list cannot be read, instead of showing none', async () => {
    const problem = {
      code: 'unavailable',
      title: 'x',
      detail: 'the database is away',
      status: 503,
    };
    const json = { status: 503, contentType: 'application/problem+json', json: problem };
    for (const name of ['deferrals', 'quarantines'])
      await page.route(`**/v1/${name}?*`, (route) => route.fulfill(json));
    await overview();
    for (const name of ['Waiting for a reboot', 'Quarantined closures'])
      await page.getByRole('region', { name }).getByRole('alert').waitFor();
  });

  it('says which closure is cleared on which channel, on the button and before it is confirmed', async () => {
    await pretend('quarantines', [quarantineOf(1), quarantineOf(2)]);
    await overview();
    const section = page.getByRole('region', { name: 'Quarantined closures' });
    await section.getByRole('listitem').nth(1).waitFor();
    await section.getByRole('button', { name: /^Clear 00002-x.* on stable$/ }).click();
    const dialog = page.getByRole('dialog', { name: /^Clear 00002-x.* on stable$/ });
    // In full: what begins and ends alike may differ in its middle.
    await dialog.getByText(quarantineOf(2).closure).waitFor();
    expect(
      await section.getByRole('button', { name: /00001-x/, includeHidden: true }).count(),
    ).toBe(1);
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Close' }).click();
  });

  it('says which signed file does not pass, and that a manifest goes stale', async () => {
    await page.route('**/v1/fleet', async (route) => {
      const response = await route.fetch();
      const refused = { artifact: 'fleet.resolved', reason: 'bad-signature', detail: 'no key' };
      const more = { refused: [{ ...refused, since: AT }], staleAt: AT };
      await route.fulfill({ response, json: { ...((await response.json()) as object), ...more } });
    });
    await overview();
    await page
      .getByText(/^fleet\.resolved of the source is refused .*: bad-signature, no key$/)
      .waitFor();
    await page.getByText(/^The first manifest went stale .* ago/).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
  });

  it('counts all hosts of a rollout that is too large to draw, and draws those in need', async () => {
    const wave = (n: number, states: Readonly<Record<string, number>>) => ({
      ...{ wave: n, soakMinutes: 5, states },
      hosts: Object.values(states).reduce((sum, one) => sum + one, 0),
    });
    let failed = 1;
    const waves = () => [
      wave(0, { Converged: 13_400 }),
      wave(1, { Converged: 6_600, Pending: 100 - failed, Failed: failed }),
      wave(2, { Pending: 10 }),
    ];
    const hostOf = (n: number, of: number, state: string) => ({
      ...{ host: `n${String(n).padStart(5, '0')}`, channel: 'stable', wave: of, state },
      ...{ targetClosureHash: 'c', targetChannelRef: REF, blocked: state === 'Pending' },
    });
    const first = Array.from({ length: 20_000 }, (_, i) =>
      hostOf(i, i < 13_400 ? 0 : 1, 'Converged'),
    );
    await page.route(/\/v1\/rollouts\/[^/]+\/(lifecycle|hosts)/, async (route) => {
      const url = new URL(route.request().url());
      const state = url.searchParams.get('state');
      if (url.pathname.endsWith('lifecycle')) {
        const response = await route.fetch();
        const lifecycle = (await response.json()) as object;
        await route.fulfill({ response, json: { ...lifecycle, waves: waves(), currentWave: 1 } });
      } else if (state === null)
        await route.fulfill({ json: { rollout_id: ID, hosts: first, nextCursor: 'more' } });
      else {
        const hosts = state === 'Failed' && failed > 0 ? [hostOf(20_050, 1, state)] : [];
        await route.fulfill({ json: { rollout_id: ID, hosts } });
      }
    });
    await page.goto(`${replicas.url}/#/rollouts/${encodeURIComponent(ID)}`);
    const filters = page.getByRole('group', { name: 'Show hosts that are' }).getByRole('button');
    await page.getByText(/^Only 20,000 of 20,110 hosts are drawn: those that failed/).waitFor();
    expect(await filters.allTextContents()).toEqual([
      ...['All 20110', '· Pending 109', '✓ Converged 20000', '✕ Failed 1'],
    ]);
    expect(await page.locator('.wave p').allTextContents()).toEqual([
      ' 13400 of 13400 done, soak 5 min',
      ' 6600 of 6700 done, soak 5 min; 6600 of them drawn',
      ' 0 of 10 done, soak 5 min; none of them drawn',
    ]);
    await filters.last().click();
    await page.getByTitle('n20050: Failed', { exact: true }).waitFor();
    expect(await page.locator('.cell').count()).toBe(1);
    // Its last host goes on: what is pressed stays, or an empty grid would be without a reason.
    failed = 0;
    await news();
    await filters.filter({ hasText: 'Failed 0' }).waitFor();
    expect(await filters.last().getAttribute('aria-pressed')).toBe('true');
  }, 60_000);

  it('shows a screenful of hundreds of channels, and finds those that wait for somebody', async () => {
    const channels = Array.from({ length: 406 }, (_, i) => ({
      ...{ name: `team-${String(i).padStart(3, '0')}`, seq: 1, hosts: 1 },
      freshness_window_minutes: 60,
      ...(i === 300 ? { pause: { actor: 'bob', reason: 'disks', at: AT } } : {}),
      ...(i === 301 ? { currentRolloutId: 'team-301@1', rolloutState: 'Failed' } : {}),
    }));
    await page.route('**/v1/channels', (route) => route.fulfill({ json: { channels } }));
    await overview();
    const section = page.getByRole('region', { name: 'Channels' });
    const cards = section.getByRole('listitem');
    await section.getByText('24 of 406 channels shown.').waitFor();
    expect(await cards.count()).toBe(24);
    await section.getByRole('button', { name: 'Halted, paused or with a remark 2' }).click();
    await section.getByText('2 of 406 channels shown.').waitFor();
    expect(await cards.getByRole('heading').allTextContents()).toEqual(['team-300', 'team-301']);
    await section.getByRole('button', { name: 'Halted, paused or with a remark 2' }).click();
    await section.getByLabel('Channel begins with').fill('team-40');
    await section.getByText('6 of 406 channels shown.').waitFor();
    await section.getByLabel('Channel begins with').fill('');
    await section.getByRole('button', { name: 'All cards' }).click();
    await section.getByText('406 of 406 channels shown.').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
  });

  it('takes no card from who acts on it, when a channel comes before it', async () => {
    const channelOf = (name: string) => ({ name, seq: 1, hosts: 1, freshness_window_minutes: 60 });
    let channels = Array.from({ length: 30 }, (_, i) => channelOf(`team-${String(i + 10)}`));
    await page.route('**/v1/channels', (route) => route.fulfill({ json: { channels } }));
    await overview();
    const section = page.getByRole('region', { name: 'Channels' });
    await section.getByRole('button', { name: 'Pause team-33' }).click();
    channels = [channelOf('aaa'), ...channels];
    await news();
    await section.getByText('25 of 31 channels shown.').waitFor();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('disks');
    expect(await dialog.getByText('This changed since').count()).toBe(0);
    expect(await dialog.getByRole('button', { name: 'Pause team-33' }).isEnabled()).toBe(true);
  });

  it('says by more than grounds what is pressed, held and done, where colours are forced', async () => {
    await page.emulateMedia({ forcedColors: 'active' });
    await page.goto(`${replicas.url}/#/rollouts/${encodeURIComponent(ID)}`);
    await page.getByTitle(/^a1: Pending/).waitFor();
    const styles = (selector: string, style: string): Promise<string> =>
      page.evaluate(`getComputedStyle(document.querySelector("${selector}"))["${style}"]`);
    const ground = await styles('body', 'backgroundColor');
    for (const one of ['.part', '.cell', 'progress', "button[aria-pressed='true']"])
      expect([one, await styles(one, 'backgroundColor')]).not.toEqual([one, ground]);
    expect(await styles('.cell.held', 'boxShadow')).toMatch(/inset/);
    await page.emulateMedia({ forcedColors: 'none' });
  });

  it('tells ages by the control plane’s clock, and that the browser’s is another', async () => {
    const ahead = await page.context().browser()?.newPage();
    if (ahead === undefined) throw new Error('the browser is gone');
    await ahead.addInitScript(`{
      const now = Date.now.bind(Date);
      Date.now = () => now() + 3 * 3_600_000;
    }`);
    const staleAt = new Date(Date.now() + 30 * 60_000).toISOString();
    await ahead.route('**/v1/fleet', async (route) => {
      const response = await route.fetch();
      const signedAt = new Date(Date.now() - 5 * 60_000).toISOString();
      const fleet = { ...((await response.json()) as object), signedAt, staleAt };
      await route.fulfill({ response, json: fleet });
    });
    await ahead.goto(replicas.url);
    await ahead.getByLabel('Operator token').fill('operator:ada');
    await ahead.getByRole('button', { name: 'Sign in' }).click();
    await ahead.getByText('5 min ago', { exact: true }).waitFor();
    await ahead.getByText(/^This machine's clock is (3 h 0|2 h 59) min ahead of the/).waitFor();
    expect(await ahead.getByText('The first manifest').count()).toBe(0);
    expect(await seriousFindings(ahead)).toEqual([]);
    await ahead.unrouteAll({ behavior: 'ignoreErrors' });
    await ahead.close();
  });

  it('takes a channel or the beginning of a ref for a rollout of the log, and says what is not there', async () => {
    const log = `${replicas.url}/#/log`;
    for (const given of ['stable', `stable@${REF.slice(0, 8)}`]) {
      await page.goto(`${log}?rollout=${given}`);
      await page.waitForURL(`${log}?rollout=stable%40${REF}`);
      await page.getByText('RolloutOpened', { exact: true }).waitFor();
    }
    await page.goto(`${log}?rollout=nosuch`);
    await page.getByRole('alert').getByText('there is no channel nosuch').waitFor();
    expect(await page.getByText('Loading…').count()).toBe(0);
    await page.goto(`${log}?host=nosuch`);
    await page.getByText('There is no host nosuch').waitFor();
    await page.goto(`${log}?host=a1`);
    await page.getByText('There is no host').waitFor({ state: 'detached' });
  });

  it('has room for the longest host name on a phone, in its dialogs too', async () => {
    await page.setViewportSize({ width: 390, height: 900 });
    await page.goto(`${replicas.url}/#/hosts/${LONG}`);
    const hold = page.getByRole('button', { name: `Hold ${LONG}` });
    await hold.waitFor();
    const width = () => page.evaluate<number>('document.documentElement.scrollWidth');
    expect(await width()).toBe(390);
    await hold.click();
    const dialog = page.getByRole('dialog');
    const { x = -1, width: wide = 0 } = (await dialog.boundingBox()) ?? {};
    expect([x >= 0, x + wide <= 390]).toEqual([true, true]);
    expect(
      await page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('dialog'))",
      ),
    ).toBe(0);
    expect(await width()).toBe(390);
  });
});
