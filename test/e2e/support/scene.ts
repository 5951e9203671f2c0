/** The operator's page in a browser, on two replicas that took a signed release of one wave. For tests of the page. */
import type { Page } from 'playwright-core';
import { developmentTrust, releaseOf } from '../../../src/cli/dev/release.ts';
import { makeScratchDir } from '../../support/scratch.ts';
import { signedIn, startBrowser } from './browser.ts';
import { oneWave } from './one-wave.ts';
import { startReplicas, type Replicas } from './replicas.ts';

export interface Scene {
  readonly replicas: Replicas;
  /** Signed in, and just opened. */
  readonly page: Page;
  close(): Promise<void>;
}

/** Its hosts are `hosts`, and soak for an hour; `name` is that of its folder. */
export async function openScene(
  name: string,
  hosts: readonly string[],
  ref: string,
): Promise<Scene> {
  const dir = makeScratchDir(name);
  const { key, trustFile } = developmentTrust(dir);
  const release = releaseOf(dir, oneWave(hosts, ref, 3_600), key);
  await release.sign(Date.now());
  const replicas = await startReplicas({ source: release.source, trustFile });
  const browser = await startBrowser();
  const page = await signedIn(browser, replicas.url);
  return {
    ...{ replicas, page },
    async close() {
      await browser.close();
      await replicas.stop();
    },
  };
}
