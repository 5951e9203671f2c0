/**
 * Between the line that opens a rollout and the line of its DispatchAck an agent may end at any point. What
 * is offered again must go on, and must never become a second switch.
 */
import { expect, test } from 'vitest';
import { timeOf } from '../../src/reducer/time.ts';
import { BEFORE, type TestHost } from './support/host.ts';
import { hostsOfTests } from './support/hosts.ts';
import { releaseInMemory, ROLLOUT, target } from './support/release.ts';

const newHost = hostsOfTests();

/** A host whose first agent ended with the rollout opened, and with its DispatchAck never made. */
async function endedBeforeAck(): Promise<TestHost> {
  const host = newHost();
  const { store } = host;
  host.store = {
    load: () => store.load(),
    append: (line, durable) =>
      line.t === 'event' ? Promise.reject(new Error('disk full')) : store.append(line, durable),
  };
  await host.start();
  await host.dispatch(0);
  await expect(host.ended).rejects.toThrow('disk full');
  expect(host.lines.map(({ t }) => t)).toEqual(['open']);
  host.store = store;
  return host;
}

test('the disk was full at DispatchAck: offered again, the rollout goes on', async () => {
  const host = await endedBeforeAck();
  await host.start();
  await host.dispatch(60_000);
  await host.clock.advance(59_000);
  await host.dispatch(60_000);
  // The soak of the second offer counts: the first may have been taken back since.
  expect(host.controlPlane.story.at(-1)).toBe('ProbeResult 6');
  await host.clock.advance(12_000);
  expect(host.controlPlane.story.at(-1)).toBe('Converged 7');
  expect(host.switched).toEqual([target('web-01')]);
});

test('an agent that is not offered it again does not switch: it may have been taken back', async () => {
  const host = await endedBeforeAck();
  await host.start();
  await host.clock.advance(3_600_000);
  expect(host.switched).toEqual([]);
  expect(host.controlPlane.posts).toEqual([]);
});

test('offered again, a rollout is held against the signed manifests again', async () => {
  const host = await endedBeforeAck();
  host.source = releaseInMemory({ forged: true });
  await host.start();
  await host.dispatch(0);
  expect(host.warnings).toEqual(['dispatch refused']);
  expect(host.switched).toEqual([]);
});

test('a hook that fails once ends one agent, and the next goes on', async () => {
  const host = newHost();
  await host.start();
  await host.clock.advance(1_000);
  host.closureTrouble = new Error('cannot read the profile');
  await host.dispatch(0);
  await expect(host.ended).rejects.toThrow('cannot read the profile');
  host.closureTrouble = null;
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(15_000);
  expect(host.controlPlane.story.at(-1)).toBe('Converged 7');
  expect(host.switched).toEqual([target('web-01')]);
});

test('offered again while DispatchAck is being written: one ack, one switch', async () => {
  const host = newHost();
  const { store } = host;
  let write = (): void => undefined;
  host.store = {
    load: () => store.load(),
    append: async (line, durable) => {
      if (line.t === 'event' && line.event.kind === 'DispatchAck')
        await new Promise<void>((resolve) => (write = resolve));
      return store.append(line, durable);
    },
  };
  await host.start();
  await host.dispatch(0);
  await host.dispatch(0);
  await host.dispatch(0);
  expect(host.lines.map(({ t }) => t)).toEqual(['open']);
  write();
  await host.clock.advance(15_000);
  expect(host.controlPlane.story.filter((told) => told.startsWith('DispatchAck'))).toEqual([
    'DispatchAck 1',
  ]);
  expect(host.controlPlane.story.at(-1)).toBe('Converged 7');
  expect(host.switched).toEqual([target('web-01')]);
});

test('DispatchAck is on the disk and the switch may have begun: offered again, never a second one', async () => {
  const host = newHost();
  const { store } = host;
  host.store = {
    load: () => store.load(),
    // The line is there; that it is was never heard.
    append: async (line, durable) => {
      await store.append(line, durable);
      if (line.t === 'event') throw new Error('fdatasync failed');
    },
  };
  await host.start();
  await host.dispatch(0);
  await expect(host.ended).rejects.toThrow('fdatasync failed');
  host.store = store;
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(15_000);
  expect(host.controlPlane.story.at(-1)).toBe('ActivationFailed 2');
  expect(host.switched).toEqual([]);
  expect(host.closure).toBe(BEFORE);
});

test('a rollout that a newer one overtook before its DispatchAck goes on when it is offered again', async () => {
  const host = await endedBeforeAck();
  const older = host.source;
  host.source = releaseInMemory({ ref: 'b2' });
  await host.start();
  await host.dispatch(0, { rolloutId: 'stable@b2', targetClosure: target('web-01', 'b2') });
  await host.clock.advance(15_000);
  await host.stop();
  host.source = older;
  await host.start();
  await host.dispatch(0);
  await host.clock.advance(15_000);
  expect(host.controlPlane.posts.at(-1)).toMatchObject({
    rolloutId: ROLLOUT,
    event: { kind: 'Converged', seq: 7 },
  });
  expect(host.switched).toEqual([target('web-01', 'b2'), target('web-01')]);
});

test('a snapshot in Pending waits for the offer, and its seqs go on from there', async () => {
  const host = newHost();
  const snapshot = {
    ...{ rolloutId: ROLLOUT, hostname: 'web-01', channel: 'stable', state: 'Pending' as const },
    ...{ targetClosure: target('web-01'), lastEventSeq: 4 },
    dispatchedAt: timeOf(host.clock.now()),
  };
  host.controlPlane.heard = () => ({ kind: 'heard', replayFrom: null, bootstrap: [snapshot] });
  await host.start();
  await host.clock.advance(1_000);
  expect(host.switched).toEqual([]);
  await host.dispatch(0);
  expect(host.controlPlane.story[0]).toBe('DispatchAck 5');
  expect(host.switched).toEqual([target('web-01')]);
});
