/** The operator's page over TLS in a real Chromium: an operator's certificate is enough, and without one a token is. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOperatorCertificate } from '../../src/ca/leaf.ts';
import { developmentOrganisation, writeProfile } from '../../src/cli/dev/organisation.ts';
import { developmentTrust, releaseOf } from '../../src/cli/dev/release.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { run } from '../cli/support.ts';
import { makeScratchDir } from '../support/scratch.ts';
import { CHROMIUM, seriousFindings, startBrowser } from './support/browser.ts';
import { oneWave } from './support/one-wave.ts';
import { startReplicas, type Replicas } from './support/replicas.ts';

const HOSTS = ['host-1', 'host-2'];

describe.skipIf(CHROMIUM === null)('the page over TLS', () => {
  let replicas: Replicas;
  let browser: Browser;
  let tls = '';
  let clientHome = '';

  beforeAll(async () => {
    const dir = makeScratchDir('page-tls');
    tls = path.join(dir, 'tls');
    const { key, trustFile } = developmentTrust(dir);
    const organisation = await developmentOrganisation(dir, trustFile, HOSTS);
    const ref = 'decade'.padEnd(40, '0');
    const release = releaseOf(dir, oneWave(HOSTS, ref, 3_600), key, organisation.lists);
    await release.sign(Date.now());
    replicas = await startReplicas({ ...release, trustFile, organisation });
    writeProfile(organisation, replicas.url);
    clientHome = organisation.clientHome;
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await replicas.stop();
  }, 60_000);

  /** Its authority is no browser's: what is believed of a server is the profile's and the agents' test. */
  async function open(more: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...more });
    const page = await context.newPage();
    await page.goto(replicas.url);
    return page;
  }

  const isIn = async (page: Page, whoami: string): Promise<void> => {
    await page.getByText(whoami).waitFor();
    await page.getByRole('heading', { name: 'Fleet' }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
  };

  it('asks nothing of whom an operator certificate names', async () => {
    const [certPath, keyPath] = [path.join(tls, 'dev.crt'), path.join(tls, 'dev.key')];
    const page = await open({ clientCertificates: [{ origin: replicas.url, certPath, keyPath }] });
    await isIn(page, 'dev admin');
    await page.getByRole('button', { name: 'Pause the fleet' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, for the log').fill('seen over TLS');
    await dialog.getByRole('button', { name: 'Pause the fleet' }).click();
    await dialog.getByText(/^Done: log row/).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Resume the fleet' }).waitFor();
  });

  it.each([
    ['expired', 'operator-ca', -1, 'is expired'],
    ['of an agent', 'fleet-ca', 1, 'this endpoint serves operators, not agents'],
  ])('says what is wrong with a certificate that is %s', async (_, authority, hours, said) => {
    const read = (what: string) => readFileSync(path.join(tls, `${authority}.${what}`), 'utf8');
    const from = new Date(Date.now() - 7_200_000);
    const { certPem, keyPem } = await createOperatorCertificate(
      { certPem: read('crt'), keyPem: read('key') },
      'host-1',
      'admin',
      from,
      new Date(Date.now() + hours * 3_600_000),
    );
    const [cert, key] = [Buffer.from(certPem), Buffer.from(keyPem)];
    const page = await open({ clientCertificates: [{ origin: replicas.url, cert, key }] });
    await page.getByRole('alert').getByText(said).waitFor();
    await page.getByText('counts before any token').waitFor();
    await page.getByLabel('Operator token').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
  });

  it('says of a token that no header can carry what is wrong with it', async () => {
    const page = await open();
    await page.getByLabel('Operator token').fill('muster_\u200b01');
    expect(await page.getByRole('alert').count()).toBe(0);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('U+200B, at place 8 of 10').waitFor();
    await page.getByLabel('Operator token').fill('muster_01');
    const submit = page.getByRole('button', { name: 'Sign in' });
    await submit.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('is no token of Muster').waitFor();
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Sign in');
  });

  it('admits by token who has no certificate', async () => {
    const argv = ['create', 'eyes', '--role', 'viewer', '-r', 'a test'];
    const env = { XDG_CONFIG_HOME: clientHome };
    const { code, stdout } = await run((given, io) => runNoun('token', given, io, env), ...argv);
    expect(code).toBe(0);
    const page = await open();
    await page.getByLabel('Operator token').fill(stdout.trim());
    await page.getByRole('button', { name: 'Sign in' }).click();
    await isIn(page, 'eyes viewer');
    expect(await page.getByRole('button', { name: /^(Pause|Resume)/ }).count()).toBe(0);
  });
});
