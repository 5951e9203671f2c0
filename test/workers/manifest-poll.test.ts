/** What a poll tells the leader: each outcome once, and again when it changes, or changes back. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { AcceptedArtifact, StoredArtifact } from '../../src/db/artifacts.ts';
import type { StoredInput } from '../../src/wire/input.ts';
import { manifestPoll } from '../../src/workers/manifest-poll.ts';
import type { Task } from '../../src/workers/worker.ts';
import { createMetrics } from '../../src/telemetry.ts';
import { setFiles } from './support/signed-set.ts';
import { meta, NOW, REF, signed, signer } from '../trust/support.ts';
import { generateKey, trustFileFor } from '../../src/trust/sign.ts';
import { fakeClock } from '../api/support/fakes.ts';
import { silentLogger } from '../support/installation.ts';

type Files = ReadonlyMap<string, Uint8Array>;

const GOOD = setFiles({});
const STALE = setFiles({ signedAt: '2026-11-01T02:00:00Z' });
const NEXT = 'b1b2c3d4';
/** A release of which one manifest was not signed by CI. */
const FORGED_NEXT = new Map([
  ...setFiles({ signedAt: '2026-11-01T12:05:00Z', ref: NEXT }),
  [`rollouts/edge@${NEXT}.json.sig`, new Uint8Array(64)],
]);
const signal = new AbortController().signal;

let files: Files;
let trustFile: string;
let submitted: StoredInput[];
let lines: string[];
let kept: Map<string, StoredArtifact>;
/** What the log says of verification, oldest first. */
let told: StoredInput[];
let poll: Task;
/** What happens to the source while it is read. */
let onRead: (name: string) => void;
/** Another process has stored something newer. */
let isOvertaken: boolean;
/** What is submitted is stored, and the submitter does not learn it. */
let isAnswerLost: boolean;
/** Rollouts that were opened and have not ended. */
let running: Set<string>;
/** As the leader has it. */
let rejectBefore: string | null;

beforeEach(() => {
  isOvertaken = false;
  isAnswerLost = false;
  running = new Set();
  rejectBefore = null;
  told = [];
  trustFile = trustFileFor(signer);
  submitted = [];
  lines = [];
  kept = new Map();
  onRead = () => undefined;
  poll = newPoll();
});

/** As a process has it that has just taken the workers' lock. */
function newPoll(): Task {
  const clock = { ...fakeClock(), now: () => NOW };
  const context = {
    submit: (input: StoredInput) => {
      submitted.push(input);
      told.push(input);
      if (input.kind === 'TrustChanged') ({ rejectBefore } = input);
      return isAnswerLost ? Promise.reject(new Error('the connection broke')) : Promise.resolve();
    },
    log: silentLogger(lines),
    metrics: createMetrics(),
    clock,
    random: () => 0.5,
  };
  return manifestPoll(context, {
    shelf: {
      accepted: () => Promise.resolve([...kept.values()].map(acceptedOf)),
      toldOutcomes: () =>
        Promise.resolve(told.filter((input) => input.kind === 'VerifyOutcome').toReversed()),
      store: (artifacts) => {
        if (isOvertaken) return Promise.resolve(false);
        for (const artifact of artifacts) kept.set(artifact.name, artifact);
        return Promise.resolve(true);
      },
      rejectBefore: () => Promise.resolve(rejectBefore),
    },
    source: {
      where: 'memory',
      read: (name) => {
        onRead(name);
        return Promise.resolve(files.get(name));
      },
    },
    trustFile: {
      path: 'trust.json',
      read: () => Promise.resolve(Buffer.from(trustFile)),
    },
    everyMs: 1_000,
  });
}

function acceptedOf({ kind, name, hash, signedAt }: StoredArtifact): AcceptedArtifact {
  const isOpened = running.has(name);
  return { kind, name, hash, signedAt, opened: isOpened, running: isOpened, contentHash: null };
}

function revocationFiles(signedAt: string): Files {
  const { bytes, sig } = signed({ schemaVersion: 1, revocations: [], meta: meta({ signedAt }) });
  return new Map([
    ['revocations.json', bytes],
    ['revocations.json.sig', sig],
  ]);
}

function refusals(inputs: readonly StoredInput[]): readonly StoredInput[] {
  return inputs.filter((input) => input.kind === 'VerifyOutcome' && !input.ok);
}

function refusalsLogged(): readonly string[] {
  return lines.filter((line) => line.includes('an artifact was refused'));
}

/** Polls once with these files in the source; the outcomes that were told. */
async function polled(source: Files): Promise<string[]> {
  files = source;
  submitted = [];
  await poll.run(signal);
  return submitted.flatMap((input) =>
    input.kind === 'VerifyOutcome' ? [`${input.artifact} ${input.reason ?? 'ok'}`] : [],
  );
}

describe('a poll', () => {
  it('tells an outcome once', async () => {
    expect(await polled(GOOD)).toContain('fleet.resolved ok');
    expect(await polled(GOOD)).toEqual([]);
    expect(await polled(STALE)).toEqual(['fleet.resolved stale']);
    expect(await polled(STALE)).toEqual([]);
    expect(refusalsLogged()).toHaveLength(1);
  });

  it('tells that the source is back from a release whose manifest was refused', async () => {
    await polled(GOOD);
    for (const afresh of [false, true]) {
      expect(await polled(FORGED_NEXT)).toEqual([`rollouts/edge@${NEXT} bad-signature`]);
      expect(await polled(FORGED_NEXT)).toEqual([]);
      if (afresh) poll = newPoll();
      expect(await polled(GOOD)).toEqual(['fleet.resolved ok']);
      expect(await polled(GOOD)).toEqual([]);
    }
  });

  it('tells that the source is sound again, and the same fault when it returns', async () => {
    await polled(GOOD);
    await polled(STALE);
    expect(await polled(GOOD)).toEqual(['fleet.resolved ok']);
    expect(await polled(STALE)).toEqual(['fleet.resolved stale']);
    expect(refusalsLogged()).toHaveLength(2);
  });

  it('tells another fault with the same reason', async () => {
    await polled(GOOD);
    await polled(STALE);
    const other = setFiles({ signedAt: '2026-11-01T03:00:00Z' });
    expect(await polled(other)).toEqual(['fleet.resolved stale']);
  });

  it('tells what is missing, and what is no longer', async () => {
    expect(await polled(new Map())).toEqual(['fleet.resolved missing']);
    expect(await polled(new Map())).toEqual([]);
    expect(await polled(GOOD)).toContain('fleet.resolved ok');
  });

  it('tells of a list that is kept back, and not of one that never was there', async () => {
    const listed = new Map([...GOOD, ...revocationFiles('2026-11-01T12:00:00Z')]);
    await polled(listed);
    expect(await polled(GOOD)).toEqual(['revocations missing']);
    expect(await polled(GOOD)).toEqual([]);
    expect(kept.has('revocations')).toBe(true);
    expect(await polled(listed)).toEqual(['revocations ok']);
  });

  it('announces no set that another process has overtaken', async () => {
    isOvertaken = true;
    await expect(polled(GOOD)).rejects.toThrow('something newer');
    expect(submitted).toEqual([]);
    isOvertaken = false;
    expect(await polled(GOOD)).toContain('fleet.resolved ok');
  });

  it('tells nothing again when another process takes over', async () => {
    await polled(GOOD);
    await polled(STALE);
    poll = newPoll();
    expect(await polled(STALE)).toEqual([]);
    expect(refusalsLogged()).toHaveLength(1);
    poll = newPoll();
    expect(await polled(GOOD)).toEqual(['fleet.resolved ok']);
  });

  it('does not repeat an outcome that was stored though its submission failed', async () => {
    isAnswerLost = true;
    await expect(polled(STALE)).rejects.toThrow('the connection broke');
    isAnswerLost = false;
    expect(await polled(STALE)).toEqual([]);
  });

  it('believes no refusal of a set that was replaced while it was read', async () => {
    const others = setFiles({ signedAt: '2026-11-01T12:05:00Z' });
    onRead = (name) => {
      if (name.startsWith('rollouts/')) files = others;
    };
    await expect(polled(GOOD)).rejects.toThrow(/changed while it was read/);
    expect(submitted.filter(({ kind }) => kind === 'VerifyOutcome')).toEqual([]);
    expect(await polled(others)).toContain('fleet.resolved ok');
  });

  it.each(['fleet.resolved', `rollouts/edge@${REF}`, 'revocations'])(
    'believes no bad signature of %s, replaced between it and its signature',
    async (name) => {
      const before = new Map([...GOOD, ...revocationFiles('2026-11-01T12:00:00Z')]);
      const others = setFiles({ signedAt: '2026-11-01T12:05:00Z' });
      const after = new Map([...others, ...revocationFiles('2026-11-01T12:05:00Z')]);
      onRead = (file) => {
        if (file === `${name}.json.sig`) files = after;
      };
      await expect(polled(before)).rejects.toThrow(/changed while it was read/);
      expect(refusals(submitted)).toEqual([]);
      expect(await polled(after)).toContain(`${name} ok`);
      expect(refusals(submitted)).toEqual([]);
    },
  );
});

describe('a rollout that goes on beside a newer set', () => {
  const OLD = `edge@${REF}`;
  const next = { signedAt: '2026-11-01T12:05:00Z', ref: 'b1b2c3d4' };

  function announced(): readonly string[] {
    return submitted.flatMap((input) =>
      input.kind === 'ManifestSetUpdated' ? input.manifests.map(({ rolloutId }) => rolloutId) : [],
    );
  }

  beforeEach(async () => {
    await polled(GOOD);
    running = new Set([OLD]);
  });

  it('is left as it was while CI does not sign it again', async () => {
    const outcomes = await polled(new Map([...GOOD, ...setFiles(next)]));
    expect(outcomes).not.toContain(`rollouts/${OLD} wrong-fleet-hash`);
    expect(announced()).toEqual(['edge@b1b2c3d4', 'stable@b1b2c3d4']);
    expect(kept.get(OLD)?.signedAt).toBe('2026-11-01T12:00:00.000Z');
  });

  it('stays fresh when CI signs it again', async () => {
    await polled(setFiles(next));
    expect(await polled(setFiles({ ...next, beside: [REF] }))).toEqual([`rollouts/${OLD} ok`]);
    expect(announced()).toContain(OLD);
    expect(kept.get(OLD)?.signedAt).toBe('2026-11-01T12:05:00.000Z');
    expect(await polled(setFiles({ ...next, beside: [REF] }))).toEqual([]);
  });

  it('is read no more once it has ended', async () => {
    running = new Set();
    await polled(setFiles({ ...next, beside: [REF] }));
    expect(announced()).not.toContain(OLD);
  });

  it('holds up nobody when what is signed again is refused', async () => {
    const forged = new Map(setFiles({ ...next, beside: [REF] }));
    forged.set(`rollouts/${OLD}.json.sig`, new Uint8Array(64));
    const outcomes = await polled(forged);
    expect(outcomes).toContain(`rollouts/${OLD} bad-signature`);
    expect(announced()).toEqual(['edge@b1b2c3d4', 'stable@b1b2c3d4']);
    expect(await polled(forged)).toEqual([]);
  });
});

/** The trust file with these keys, as an administrator would put it in the old one's place. */
function trusting(ciReleaseKey: object): string {
  return JSON.stringify({ schemaVersion: 1, ciReleaseKey });
}

describe('a trust file that changes under a running process', () => {
  const publicOf = ({ algorithm, public: key }: typeof signer) => ({ algorithm, public: key });
  const stranger = generateKey('ed25519').key;

  it('rotates keys: the old one counts until it is dropped', async () => {
    expect(await polled(GOOD)).toContain('fleet.resolved ok');
    trustFile = trusting({ current: publicOf(stranger), previous: publicOf(signer) });
    expect(await polled(GOOD)).toEqual([]);
    trustFile = trusting({ current: publicOf(stranger) });
    expect(await polled(GOOD)).toEqual(['fleet.resolved bad-signature']);
    expect(kept.get('fleet.resolved')).toBeDefined();
  });

  it('tells the leader of rejectBefore, once, and that it is lifted', async () => {
    const changes = () => submitted.filter(({ kind }) => kind === 'TrustChanged');
    await polled(GOOD);
    const rejectBefore = '2026-11-01T12:30:00Z';
    trustFile = trusting({ current: publicOf(signer), rejectBefore });
    expect(await polled(GOOD)).toEqual(['fleet.resolved rejected-before']);
    expect(changes()).toEqual([{ kind: 'TrustChanged', rejectBefore: '2026-11-01T12:30:00.000Z' }]);
    expect(await polled(GOOD)).toEqual([]);
    expect(changes()).toEqual([]);
    trustFile = trusting({ current: publicOf(signer) });
    expect(await polled(GOOD)).toEqual(['fleet.resolved ok']);
    expect(changes()).toEqual([{ kind: 'TrustChanged', rejectBefore: null }]);
  });

  it('tells rejectBefore again when a process that was stopped has undone it', async () => {
    const at = '2026-11-01T01:00:00.000Z';
    trustFile = trusting({ current: publicOf(signer), rejectBefore: at });
    await polled(GOOD);
    rejectBefore = null;
    await polled(GOOD);
    expect(submitted).toEqual([{ kind: 'TrustChanged', rejectBefore: at }]);
  });
});

describe('an attacker at the source', () => {
  it('cannot roll back: an older set, well signed, is refused', async () => {
    const newer = setFiles({ signedAt: '2026-11-01T12:05:00Z' });
    expect(await polled(newer)).toContain('fleet.resolved ok');
    expect(await polled(GOOD)).toEqual(['fleet.resolved rollback']);
  });

  it('cannot mix: the manifests of another set are refused', async () => {
    const other = setFiles({ signedAt: '2026-11-01T12:05:00Z' });
    const mixed = new Map([
      ...GOOD,
      ...[...other].filter(([name]) => name.startsWith('rollouts/')),
    ]);
    const outcomes = await polled(mixed);
    expect(outcomes).not.toEqual([]);
    for (const outcome of outcomes) expect(outcome).toMatch(/^rollouts\/.* wrong-fleet-hash$/);
    expect(kept.size).toBe(0);
  });
});
