/**
 * The service `trial` of docker-compose.yml: fills a folder with what an organisation brings along (keys, certificates,
 * a token for each host, a signed sample release), so that there is something to serve. Again: the next release.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { parseOptions } from '../io.ts';
import { developmentOrganisation, writeProfile } from './organisation.ts';
import { developmentTrust, releaseOf } from './release.ts';
import { hostsOfSample, sampleFleet } from './sample-fleet.ts';

const OPTIONS = {
  out: { type: 'string', default: 'fleet' },
  hosts: { type: 'string', default: '24' },
  'soak-seconds': { type: 'string', default: '10' },
  /** Where the operator's profile says that the control plane is. */
  url: { type: 'string', default: 'https://localhost:8080' },
  /** By which clients reach the control plane, beside localhost. */
  name: { type: 'string', multiple: true },
} as const;

async function main(args: string[]): Promise<void> {
  const { values } = parseOptions({ args, options: OPTIONS });
  const out = path.resolve(values.out);
  const ref = randomBytes(20).toString('hex');
  const sample = sampleFleet(Number(values.hosts), ref, Number(values['soak-seconds']));
  const { key, trustFile } = developmentTrust(out);
  const hosts = hostsOfSample(sample);
  const organisation = await developmentOrganisation(out, trustFile, hosts, values.name ?? []);
  writeProfile(organisation, values.url);
  const release = releaseOf(out, sample, key, organisation.lists);
  await release.sign(Date.now());
  const link = path.join(out, 'release');
  if (!existsSync(link)) symlinkSync(path.relative(out, release.source), link);
  process.stdout.write(`${values.out}: release ${ref} for ${hosts.length} hosts is signed\n`);
}

await main(process.argv.slice(2));
