/**
 * `muster rollout watch`: a live view, redrawn on a terminal, a line for each change elsewhere. The stream of
 * the log says when to look; a look every few seconds makes good what a broken stream misses.
 */
import { LifecycleSchema, type Lifecycle } from '../../wire/operator.ts';
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
  try {
    for (;;) {
      const life = await look(desk, id, screen);
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
async function look({ client }: Desk, id: string, screen: Screen): Promise<Lifecycle | null> {
  try {
    return await client.get(LifecycleSchema, pathOf('rollouts', id, 'lifecycle'));
  } catch (error) {
    if (!(error instanceof OperateError) || error.exitCode !== EXIT.unavailable) throw error;
    screen.say(error.message);
    return null;
  }
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
  show(life: Lifecycle): void;
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
  const text = (life: Lifecycle): string => {
    const waves = life.waves.map(({ states }, i) => `wave ${String(i)}: ${counts(states)}`);
    return `${life.state}  ${waves.join('  ')}`;
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
  text: (life: Lifecycle) => string,
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
  let last: Lifecycle | null = null;
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
export function pictureOf(life: Lifecycle, paint: Paint, { columns, rows }: Size): string[] {
  const { rolloutId: id, state } = life;
  const title = `${paint('bold', clip(id, columns - state.length - 2))}  ${paint(toneOf(state), state)}`;
  const meaning = legend(columns).map((line) => paint('dim', line));
  const below = rows >= LEGEND_FROM_ROWS || meaning.length + life.waves.length < rows / 2;
  const foot = below ? meaning : [];
  const left = rows - 1 - foot.length;
  const blockers = blockerLines(life.blockers, paint, columns, Math.max(0, Math.min(left - 1, 4)));
  return [
    title,
    ...wavesWithin({ paint, columns }, life, left - blockers.length),
    ...blockers,
    ...foot,
  ];
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
