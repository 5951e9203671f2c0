/**
 * `muster rollout watch`: a live view, redrawn on a terminal, a line for each change elsewhere. The stream of
 * the log says when to look; a look every few seconds makes good what a broken stream misses.
 */
import { LifecycleSchema, type Lifecycle } from '../../wire/operator.ts';
import { RolloutBlockersSchema } from '../../wire/why.ts';
import { EXIT } from '../io.ts';
import type { Desk, OperatorVerb } from './command.ts';
import { OperateError, pause } from './client.ts';
import { pathOf, rolloutId } from './paths.ts';
import { wavesWithin } from './waves.ts';
import { createPicture, roomIn, sizeOf, type Size } from '../picture.ts';
import { clip } from '../text-width.ts';
import { counts, legend, toneOf, type Paint } from './show.ts';

export const WATCH: OperatorVerb = {
  verb: 'watch',
  args: ['rollout'],
  about:
    'Live, until it is through: exit code 0 when it is Terminal, 1 when it halted or ended otherwise',
  options: { forever: { about: 'go on watching, whatever becomes of it' } },
  examples: ['muster rollout watch stable', 'muster rollout watch stable --json | jq -c .state'],
  run: watch,
};

/** The safety net beneath the stream, and how often ages are redrawn. */
const LOOK_MS = 2_000;
/** Between two attempts at a broken stream, and at a control plane that is away. */
const RETRY_MS = 1_000;
/** Redrawing more often than this is only flicker. */
const SETTLE_MS = 100;

interface Held {
  readonly gate: string;
  readonly key: string;
  readonly hosts: number;
}

/** A rollout, and how many hosts each gate holds: a pause holds them all, and is nothing of the rollout's own. */
export type Seen = Lifecycle & { readonly held: readonly Held[] };

async function watch(desk: Desk): Promise<number> {
  const id = await rolloutId(desk.client, desk.args['rollout'] ?? '');
  const stop = new AbortController();
  const signal = AbortSignal.any([desk.signal, stop.signal]);
  const bell = new Bell();
  void ring(desk, id, signal, bell);
  desk.signal.addEventListener('abort', () => {
    bell.ring();
  });
  const screen = screenOf(desk);
  const held = heldReader(desk, id);
  try {
    for (;;) {
      const life = await look(desk, id, { screen, held });
      if (life !== null) {
        screen.show(life);
        const end = endOf(life.state);
        if (end !== null && desk.options['forever'] !== true) return end;
      }
      // Not 0: a script would go on as if the rollout were through.
      if (desk.signal.aborted) return EXIT.interrupted;
      await bell.next(LOOK_MS);
      await pause(SETTLE_MS, desk.signal);
    }
  } finally {
    stop.abort();
  }
}

function endOf(state: string): number | null {
  if (state === 'Terminal') return EXIT.ok;
  const over = ['Failed', 'Reverted', 'Superseded', 'Cancelled', 'Pruned'];
  return over.includes(state) ? EXIT.no : null;
}

/** Null while the control plane is away: that is said, and not the end of the watch. */
async function look(
  { client }: Desk,
  id: string,
  { screen, held }: { readonly screen: Screen; readonly held: () => Promise<readonly Held[]> },
): Promise<Seen | null> {
  try {
    const life = await client.get(LifecycleSchema, pathOf('rollouts', id, 'lifecycle'));
    return { ...life, held: await held() };
  } catch (error) {
    if (!isAway(error)) throw error;
    screen.say(error.message);
    return null;
  }
}

function isAway(error: unknown): error is OperateError {
  return error instanceof OperateError && error.exitCode === EXIT.unavailable;
}

/** Every host is explained for it: not as often as the log rings. */
function heldReader({ client }: Desk, id: string): () => Promise<readonly Held[]> {
  let held: readonly Held[] = [];
  let readAt = -Infinity;
  return async () => {
    if (performance.now() - readAt < LOOK_MS) return held;
    readAt = performance.now();
    try {
      const why = await client.get(RolloutBlockersSchema, pathOf('rollouts', id, 'blockers'));
      held = why.hosts.map(({ gate, key, held: hosts }) => ({ gate, key, hosts }));
    } catch (error) {
      // A replica that cannot explain yet does not end the watch; of a pruned rollout nothing is left to explain.
      const isGone = error instanceof OperateError && error.code === 'not-found';
      if (!isGone && !isAway(error)) throw error;
      if (isGone) held = [];
    }
    return held;
  };
}

/** Rings whenever the log has something new of this rollout. */
async function ring({ client }: Desk, id: string, signal: AbortSignal, bell: Bell): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    try {
      for await (const line of client.lines('/v1/events/stream', { rollout: id }, signal)) {
        if (line.startsWith('data:')) bell.ring();
      }
    } catch {
      // The looks go on meanwhile, and say what is wrong.
    }
    if (!isOver()) await pause(RETRY_MS, signal);
  }
}

class Bell {
  private wake: (() => void) | null = null;
  private rung = false;

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** The next ring, or one since the last call; `ms` at the most. */
  async next(ms: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
    this.rung = false;
  }
}

interface Screen {
  show(life: Seen): void;
  say(text: string): void;
}

function screenOf(desk: Desk): Screen {
  if (desk.json) return jsonScreen(desk);
  return desk.columns === null ? lineScreen(desk) : terminalScreen(desk);
}

function jsonScreen({ io }: Desk): Screen {
  return onChange(
    (life) => JSON.stringify(life),
    (text) => {
      io.stdout.write(`${text}\n`);
    },
    (text) => {
      io.stderr.write(`${JSON.stringify({ waiting: text })}\n`);
    },
  );
}

function lineScreen({ io, now }: Desk): Screen {
  const text = (life: Seen): string => {
    const waves = life.waves.map(({ states }, i) => `wave ${String(i)}: ${counts(states)}`);
    return [life.state, ...waves, ...heldText(life)].join('  ');
  };
  return onChange(
    text,
    (line) => {
      io.stdout.write(`${new Date(now()).toISOString()}  ${line}\n`);
    },
    (line) => {
      io.stderr.write(`muster: ${line}\n`);
    },
  );
}

/** Writes what differs from the last. */
function onChange(
  text: (life: Seen) => string,
  write: (text: string) => void,
  say: (text: string) => void,
): Screen {
  let shown = '';
  let said = '';
  return {
    show(life) {
      said = '';
      const next = text(life);
      if (next !== shown) write(next);
      shown = next;
    },
    say(problem) {
      if (problem !== said) say(problem);
      said = problem;
    },
  };
}

function terminalScreen({ io: { stdout }, paint }: Desk): Screen {
  const draw = createPicture(stdout);
  let last: Seen | null = null;
  return {
    show(life) {
      last = life;
      draw(pictureOf(life, paint, roomIn(sizeOf(stdout))));
    },
    say(text) {
      const { columns, rows } = roomIn(sizeOf(stdout));
      const before = last === null ? [] : pictureOf(last, paint, { columns, rows: rows - 1 });
      draw([...before, paint('warn', clip(text, columns))]);
    },
  };
}

/** Under this height the meaning of marks is worth less than a wave. */
const LEGEND_FROM_ROWS = 20;

/** What fits: the title and the current wave always, then what holds it, then other waves. */
export function pictureOf(life: Seen, paint: Paint, { columns, rows }: Size): string[] {
  const { rolloutId: id, state } = life;
  const title = `${paint('bold', clip(id, columns - state.length - 2))}  ${paint(toneOf(state), state)}`;
  const meaning = legend(columns).map((line) => paint('dim', line));
  const below = rows >= LEGEND_FROM_ROWS || meaning.length + life.waves.length < rows / 2;
  const foot = below ? meaning : [];
  const left = rows - 1 - foot.length;
  // One line at the most, and the current wave has another.
  const held = left < 2 ? [] : heldText(life).map((text) => paint('warn', clip(text, columns)));
  const most = Math.max(0, Math.min(left - held.length - 1, 4));
  const blockers = blockerLines(life.blockers, paint, columns, most);
  return [
    title,
    ...wavesWithin({ paint, columns }, life, left - held.length - blockers.length),
    ...held,
    ...blockers,
    ...foot,
  ];
}

function heldText({ held }: Seen): string[] {
  if (held.length === 0) return [];
  return [`held: ${held.map(({ key, hosts }) => `${key} ${String(hosts)}`).join(', ')}`];
}

function blockerLines(
  keys: readonly string[],
  paint: Paint,
  columns: number,
  most: number,
): string[] {
  const shown = keys.length <= most ? keys : keys.slice(0, Math.max(0, most - 1));
  const more = keys.length - shown.length;
  const lines = shown.map((key) => `${paint('bad', '!')} ${clip(key, columns - 2)}`);
  return more > 0 && most > 0 ? [...lines, `${paint('bad', '!')} and ${String(more)} more`] : lines;
}
