/** What people see of a run: on a terminal a picture that is redrawn, elsewhere a line for each change. */
import type { Io } from '../io.ts';
import {
  hostStates,
  type Progress,
  type RolloutProgress,
  type Waiting,
  type WaveProgress,
} from './progress.ts';

export interface Screen {
  readonly show: (progress: Progress) => void;
  /** Adds a line that stays. */
  readonly say: (line: string) => void;
}

export interface Look {
  /** Redraw in place, with colours. */
  readonly terminal: boolean;
  readonly columns: number;
  /** Shown above the picture. */
  readonly title: string;
  now(): number;
}

const BAR = 24;
/** In the order of a host's life; what each looks like in a bar. */
const STATES = [
  ['Converged', '█', '\u001b[32m'],
  ['Soaking', '▓', '\u001b[36m'],
  ['Activating', '▒', '\u001b[33m'],
  ['Deferred', '▒', '\u001b[35m'],
  ['Failed', '!', '\u001b[31m'],
  ['Reverted', '!', '\u001b[31m'],
  ['Pending', '·', '\u001b[90m'],
] as const;
const PLAIN = '\u001b[0m';
/** Reasons shown for each rollout; more would push the picture off the screen. */
const MAX_REASONS = 4;
/** A gate's subject may be as long as a closure's hash. */
const MAX_KEY = 60;

export function createScreen(io: Io, look: Look): Screen {
  return look.terminal ? terminalScreen(io, look) : lineScreen(io, look);
}

function terminalScreen(io: Io, look: Look): Screen {
  let drawn = 0;
  let last: Progress | null = null;
  const draw = (progress: Progress): void => {
    const lines = picture(progress, look).map((line) => clip(line, look.columns));
    // Up to the top of the old picture, then clear to the end of the screen.
    const up = drawn === 0 ? '' : `\u001b[${drawn}A`;
    io.stderr.write(`${up}\u001b[0J${lines.join('\n')}\n`);
    drawn = lines.length;
    last = progress;
  };
  return {
    show: draw,
    say: (line) => {
      const up = drawn === 0 ? '' : `\u001b[${drawn}A`;
      io.stderr.write(`${up}\u001b[0J${line}\n`);
      drawn = 0;
      if (last !== null) draw(last);
    },
  };
}

function lineScreen(io: Io, look: Look): Screen {
  const startedAt = look.now();
  const shown = new Map<string, string>();
  const stamp = (): string => `${((look.now() - startedAt) / 1000).toFixed(1).padStart(6)}s`;
  return {
    say: (line) => void io.stderr.write(`${stamp()}  ${line}\n`),
    show: (progress) => {
      for (const rollout of progress.rollouts) {
        const line = summary(rollout);
        if (shown.get(rollout.rolloutId) === line) continue;
        shown.set(rollout.rolloutId, line);
        io.stderr.write(`${stamp()}  ${line}\n`);
      }
    },
  };
}

function picture(progress: Progress, look: Look): string[] {
  const leader =
    progress.leader === null
      ? 'no leader yet'
      : `${progress.leader} leads, epoch ${progress.epoch}`;
  return [
    `${look.title}  ·  ${leader}  ·  ${progress.logRows} log rows`,
    ...progress.rollouts.flatMap((rollout) => [
      '',
      `${short(rollout.rolloutId)}  ${rollout.state}${blockersOf(rollout)}`,
      ...rollout.waves.map((wave, index) => waveLine(wave, index, rollout)),
      ...reasons(rollout).map((reason) => `  waits: ${reason}`),
    ]),
    '',
    '█ converged  ▓ soaking  ▒ activating  · pending  ! failed       Ctrl-C stops',
  ];
}

/** Waves have the number that the signed manifest gives them, from 0, here as in the log and in every gate's key. */
function waveLine(wave: WaveProgress, index: number, rollout: RolloutProgress): string {
  const mark = index === rollout.currentWave ? '▸' : ' ';
  const done = wave.states['Converged'] ?? 0;
  return ` ${mark} wave ${index}  ${bar(wave)}  ${done}/${wave.hosts}  ${counts(wave.states)}`;
}

function bar(wave: WaveProgress): string {
  let seen = 0;
  let filled = 0;
  let text = '';
  for (const [state, cell, colour] of STATES) {
    seen += wave.states[state] ?? 0;
    const upTo = Math.round((seen / Math.max(1, wave.hosts)) * BAR);
    if (upTo > filled) text += `${colour}${cell.repeat(upTo - filled)}${PLAIN}`;
    filled = upTo;
  }
  return text;
}

function counts(states: Readonly<Record<string, number>>): string {
  return STATES.flatMap(([state]) =>
    states[state] === undefined ? [] : `${state} ${states[state]}`,
  ).join(' ');
}

/** One rollout in a line. */
export function summary(rollout: RolloutProgress): string {
  const why = reasons(rollout).map((reason) => ` · ${reason}`);
  const wave = `wave ${rollout.currentWave} of 0–${rollout.waves.length - 1}`;
  return `${short(rollout.rolloutId)} ${rollout.state} ${wave} · ${counts(hostStates(rollout))}${blockersOf(rollout)}${why.join('')}`;
}

function reasons(rollout: RolloutProgress): string[] {
  const lines = rollout.waiting.slice(0, MAX_REASONS).map(reason);
  const more = rollout.waiting.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more reasons`] : lines;
}

function reason({ gates, hosts, example }: Waiting): string {
  const who = hosts === 1 ? example : `${hosts} hosts (${example}, …)`;
  return `${who}: ${gates.map((gate) => clip(gate, MAX_KEY)).join(', ')}`;
}

function blockersOf(rollout: RolloutProgress): string {
  return rollout.blockers.length === 0 ? '' : ` [${rollout.blockers.join(', ')}]`;
}

function short(rolloutId: string): string {
  const [channel = '', ref = ''] = rolloutId.split('@');
  return `${channel}@${ref.slice(0, 8)}`;
}

/** Cuts what people see, not the colours around it. */
function clip(line: string, columns: number): string {
  let seen = 0;
  let text = '';
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith('\u001b')) {
      text += part;
      continue;
    }
    const room = columns - seen;
    text += part.length <= room ? part : `${part.slice(0, Math.max(0, room - 1))}…`.slice(0, room);
    seen += Math.min(part.length, room);
  }
  return text;
}
