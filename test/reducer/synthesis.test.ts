/** What a guess by heartbeats sets where no transcript shows it. */
import { expect, it } from 'vitest';
import { Script } from './support/script.ts';

it('a reboot that a heartbeat tells of is a new activation: first stamps are of what ran before it', () => {
  const script = new Script();
  for (const line of [
    ...['channel a', 'wave a soak=5 a1', 'heartbeat * c0', 'declare 1', 'offer a1'],
    // Taken for a switch whose acknowledgement was lost; then the host says that it waits for its reboot.
    ...['heartbeat a1 c1', 'heartbeat a1 c1', 'event a1 observed tcp', 'event a1 failing tcp'],
    'event a1 deferred',
  ])
    script.run(line);
  const record = () => script.state.live.get('a@1')?.records.get('a1');
  expect(record()?.state).toBe('Deferred');
  expect(record()?.probeObservedFirstAt).toMatch(/Z$/);
  expect(record()?.probeFailureFirstAt).toMatch(/Z$/);
  script.run('heartbeat a1 c1');
  expect(record()).toMatchObject({
    ...{ state: 'Soaking', synthesised: 'rebooted' },
    ...{ probeObservedFirstAt: null, probeFailureFirstAt: null },
  });
});
