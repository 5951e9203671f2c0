/** The chart holds settings against each other as the process does: what renders also starts. */
import { describe, expect, it } from 'vitest';
import { envName, loadConfig } from '../../src/config.ts';
import { HELM, refusal } from './support/helm.ts';

describe.skipIf(HELM === null)('settings of the chart', () => {
  /** What `muster serve` would say of these settings, if anything; with what every pod has. */
  const served = (settings: object): boolean => {
    const all = { ...settings, listenHost: '0.0.0.0', databaseUrl: 'postgres://d/d' };
    const env = Object.entries<unknown>(all).map(([name, value]) => [envName(name), String(value)]);
    return loadConfig(
      ['--roles', 'api', '--strict', 'false'],
      Object.fromEntries(env) as Record<string, string>,
    ).ok;
  };

  // Each with the nearest that will do.
  it.each([
    [{ batchRows: 10_001 }, { batchRows: 10_000 }],
    [{ batcherMaxRows: 999 }, { batcherMaxRows: 1_000 }],
    [{ queueMaxRows: 9_999 }, { queueMaxRows: 10_000 }],
    [{ batcherMaxRows: 200_001 }, { batcherMaxRows: 200_000 }],
    [{ maxParkedPolls: 25_000 }, { maxParkedPolls: 24_999 }],
    [{ maxConnections: 20_000 }, { maxConnections: 20_001 }],
    [{ heartbeatSeconds: 301 }, { heartbeatSeconds: 300 }],
    [{ offlineGraceMinutes: 2.99 }, { offlineGraceMinutes: 3 }],
    [{ deliveredGraceMinutes: 2.99 }, { deliveredGraceMinutes: 3 }],
    [{ queueMaxAgeSeconds: 2 }, { queueMaxAgeSeconds: 2.1 }],
    [
      { verdictWaitMs: 1_000, queueMaxAgeSeconds: 1 },
      { verdictWaitMs: 0, queueMaxAgeSeconds: 1 },
    ],
    [{ stopDeadlineSeconds: 5 }, { stopDeadlineSeconds: 5.1 }],
    [{ devIdentity: true }, { devIdentity: false }],
    [{ closureSource: 'cache:5000' }, { closureSource: 'https://cache:443' }],
    [{ checkpointTo: 'ftp://c/x' }, { checkpointTo: 'https://notary/' }],
    [{ checkpointTo: 'relative/x' }, { checkpointTo: 'https://notary/' }],
  ])('refuses settings that no process would start with: %j', (wrong, fine) => {
    const said = (settings: object): string => refusal(`settings=${JSON.stringify(settings)}`);
    expect([served(wrong), said(wrong)]).toEqual([
      false,
      expect.stringContaining(`settings.${Object.keys(wrong)[0] ?? ''}`),
    ]);
    expect([served(fine), said(fine)]).toEqual([true, 'rendered']);
  });

  it('refuses to ask for certificates where nothing speaks TLS', () => {
    const trial = ['settings={"strict":false}', 'tls.existingSecret=""'];
    expect(refusal(...trial)).toContain('clientCa.existingConfigMap needs tls.existingSecret');
  });
});
