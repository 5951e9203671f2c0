/** `rollout watch` on terminals of all sizes: one picture, in its place, with what matters on it. */
import { describe, expect, it } from 'vitest';
import { createPicture, roomIn } from '../../src/cli/picture.ts';
import { clip, widthOf } from '../../src/cli/text-width.ts';
import { runNoun } from '../../src/cli/operate/operate.ts';
import { painter } from '../../src/cli/operate/show.ts';
import { pictureOf, type Seen } from '../../src/cli/operate/watch.ts';
import { fakeServer } from './fake-server.ts';
import { Terminal } from './terminal.ts';

const ID = `stable@${'fa'.repeat(20)}`;
const AT = '2026-05-16T01:27:01.000Z';

function life(state: string, waves: number, currentWave: number, blockers: string[]): Seen {
  return {
    held: [],
    ...{
      rolloutId: ID,
      seq: 1,
      channel: 'stable',
      channelRef: 'fa'.repeat(20),
      state,
      currentWave,
    },
    ...{ openedAt: AT, signedAt: AT, policy: 'default', onHealthFailure: 'halt', maxFailures: 0 },
    blockers,
    waves: Array.from({ length: waves }, (_, wave) => ({
      ...{ wave, soakMinutes: 2.5, hosts: 1_200 },
      states: {
        Activating: 400,
        Pending: 300,
        Soaking: 300,
        Converged: wave,
        Failed: 1,
        closed: 1,
      },
    })),
  };
}

const HELD = [
  { gate: 'paused', key: 'paused:channel', hosts: 294 },
  { gate: 'wave-promotion', key: 'wave-promotion:1', hosts: 12 },
];

const WHY = {
  ...{ rolloutId: ID, channel: 'stable', rolloutState: 'Opening', currentWave: 0, asOfSeq: 1 },
  rollout: [],
  hosts: HELD.map(({ hosts: held, ...which }) => ({
    ...{ ...which, because: 'an operator paused it', releasedBy: 'an operator resumes' },
    ...{ hosts: [], total: 0, held, examples: [] },
  })),
};
interface Stdout {
  write(text: string): unknown;
}

/** What a rollout may look like on its way; each is drawn over the one before. */
const STORY = [
  life('Opening', 1, 0, []),
  life('Active', 30, 0, [`channel-edges:${'edge-of-the-fleet-'.repeat(6)}`]),
  life('Active', 30, 14, ['rollout-halted', 'paused', 'manifest-stale', 'host-hold', 'other']),
  { ...life('Active', 30, 3, ['manifest-stale', 'other']), held: HELD },
  life('Converging', 30, 29, []),
  life('Failed', 3, 1, ['rollout-halted']),
];
const SIZES = [40, 60, 80, 120].flatMap((columns) =>
  [10, 24].map((rows) => [columns, rows] as const),
);

describe.each(SIZES)('on a terminal of %i columns and %i rows', (columns, rows) => {
  it('nothing wraps or scrolls, nothing of the old picture stays, and the current wave is seen', () => {
    const terminal = new Terminal(columns, rows);
    const draw = createPicture(terminal);
    // At the bottom of a screen that was in use, as most are.
    terminal.write('$\n'.repeat(rows));
    draw(pictureOf(STORY[0] ?? life('', 0, 0, []), painter(true), roomIn(terminal)));
    const [above] = [terminal.picture().length];
    for (const one of STORY) {
      const lines = pictureOf(one, painter(true), roomIn(terminal));
      draw(lines);
      const seen = terminal.picture().filter((line) => line !== '$');
      expect(seen).toEqual(lines.map((line) => line.replace(/\u001b\[\d*m/g, '').trimEnd()));
      expect(seen[0]).toMatch(new RegExp(`^stable@fa.*  ${one.state}$`));
      expect(seen.join('\n')).toContain(`▶ wave ${String(one.currentWave)} `);
      expect(seen.filter((line) => line.startsWith('stable@'))).toHaveLength(1);
    }
    expect(terminal.wraps).toBe(0);
    expect(above).toBeLessThan(rows);
  });
});

/** A server whose log rings all the time, so that whoever watches looks again. */
function ringing(answer: (url: URL) => object | undefined): ReturnType<typeof fakeServer> {
  return fakeServer((url, response) => {
    if (url.pathname !== '/v1/events/stream') return answer(url);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: {}\n\n'), 5);
    response.on('close', () => {
      clearInterval(timer);
    });
    return null;
  });
}

it('redraws in its place while the rollout moves, with all states of a wave told at 80 columns', async () => {
  let looks = 0;
  const server = await ringing((url) => {
    if (url.pathname.endsWith('/blockers')) return undefined; // as of a pruned one
    looks += 1;
    return looks === 5 ? life('Terminal', 2, 1, []) : life('Active', 2, 0, []);
  });
  const terminal = new Terminal(80, 24);
  const io = { stdout: terminal, stderr: { write: () => true } };
  const code = await runNoun('rollout', ['watch', ID], io, { MUSTER_URL: server.url });
  server.close();
  expect(code).toBe(0);
  const [title, first, second] = terminal.picture();
  expect([title, looks]).toEqual([`${ID}  Terminal`, 5]);
  expect(first).toMatch(/^ {2}wave 0 {2}\S+ {2}0\/1200 {2}▓ 300 {2}▒ 400 {2}! 1 {2}x 1 {2}· 300$/);
  expect(second).toContain('▶ wave 1');
  expect([terminal.wraps, terminal.scrolled]).toEqual([0, 0]);
});

describe('what holds its hosts', () => {
  /** One look, and then the end. */
  async function watched(args: readonly string[], stdout: Stdout): Promise<number> {
    let looks = 0;
    const server = await ringing((url) => {
      if (url.pathname.endsWith('/blockers')) return WHY;
      looks += 1;
      return life(looks === 2 ? 'Terminal' : 'Opening', 2, 0, []);
    });
    const io = { stdout, stderr: { write: () => true } };
    const code = await runNoun('rollout', ['watch', ID, ...args], io, { MUSTER_URL: server.url });
    server.close();
    return code;
  }

  it('stands below the waves of a terminal', async () => {
    const terminal = new Terminal(80, 24);
    expect(await watched([], terminal)).toBe(0);
    expect(terminal.picture()).toContain('held: paused:channel 294, wave-promotion:1 12');
  });

  it('stands at the end of each line elsewhere', async () => {
    let said = '';
    await watched([], { write: (text) => (said += text) !== '' });
    expect(said.split('\n')[0]).toMatch(/  Opening  wave 0: .* {2}held: paused:channel 294, wave/);
  });

  it('is a member with --json', async () => {
    let said = '';
    await watched(['--json'], { write: (text) => (said += text) !== '' });
    expect(JSON.parse(said.split('\n')[0] ?? '')).toMatchObject({ state: 'Opening', held: HELD });
  });
});

it('goes up over what a narrower window wrapped', () => {
  const terminal = {
    columns: 80,
    rows: 24,
    said: '',
    write: (text: string) => (terminal.said = text),
  };
  const draw = createPicture(terminal);
  draw(['x'.repeat(79), 'y']);
  terminal.columns = 40;
  draw(['x']);
  expect(terminal.said).toBe('\u001b[3A\u001b[0Jx\n');
});

it('texts of any script are as wide as they are shown, and cut between letters', () => {
  expect(['abc', 'żółw', '主机', '👩‍🚒', '\u001b[1mab\u001b[0m'].map(widthOf)).toEqual([
    3, 4, 4, 2, 2,
  ]);
  expect(clip('主机名', 5)).toBe('主机…');
  expect(clip('主机名', 4)).toBe('主…');
  expect(clip('\u001b[1mabcdef\u001b[0m', 4)).toBe('\u001b[1mabc…\u001b[0m');
  expect(clip('abc', 3)).toBe('abc');
});
