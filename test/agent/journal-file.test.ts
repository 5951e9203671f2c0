/** Journals on disk: what survives, what is refused, what is forgotten on purpose. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { JournalFile } from '../../src/agent/journal-file.ts';
import { Journal, type JournalLine } from '../../src/agent/journal.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'muster-journal-'));
const file = path.join(dir, 'journal.jsonl');
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function opened(rolloutId: string): JournalLine {
  const time = '2026-11-01T12:00:00.000Z';
  return {
    t: 'open',
    snapshot: {
      ...{ rolloutId, hostname: 'web-01', channel: 'stable', state: 'Pending' },
      ...{ targetClosure: 'new', dispatchedAt: time, soakDueAt: time, lastEventSeq: 0 },
    },
    wave: 1,
    policy: 'halt',
  };
}

function ack(rolloutId: string): JournalLine {
  const receivedAt = '2026-11-01T12:00:01.000Z';
  const event = {
    kind: 'DispatchAck',
    seq: 1,
    currentClosureAtDispatch: 'old',
    receivedAt,
  } as const;
  return { t: 'event', rolloutId, event };
}

async function write(lines: readonly JournalLine[], host = 'web-01'): Promise<void> {
  const journal = await JournalFile.open(file);
  const store = journal.storeOf(host);
  await Promise.all(lines.map((line) => store.append(line, true)));
  await journal.close();
}

async function read(host = 'web-01'): Promise<readonly JournalLine[]> {
  const journal = await JournalFile.open(file);
  const lines = await journal.storeOf(host).load();
  await journal.close();
  return lines;
}

/** What a host makes of the file when it starts. */
async function restarted(): Promise<Journal> {
  const journal = await JournalFile.open(file);
  const folded = await Journal.load(journal.storeOf('web-01'));
  await journal.close();
  return folded;
}

test('comes back as it was written, each host by itself', async () => {
  const lines: JournalLine[] = [opened('stable@a1'), ack('stable@a1')];
  await write([...lines, { t: 'settled', rolloutId: 'stable@a1', seq: 1, outcome: 'accepted' }]);
  await write([opened('stable@b2')], 'web-02');
  expect(await read()).toHaveLength(3);
  expect((await read()).slice(0, 2)).toEqual(lines);
  expect(await read('web-02')).toEqual([opened('stable@b2')]);
});

test('a line that comes as soon as the one before is written is written, too', async () => {
  const journal = await JournalFile.open(file);
  const store = journal.storeOf('web-01');
  await store.append(opened('stable@a1'), true);
  await store.append(ack('stable@a1'), true);
  await journal.close();
  expect(await read()).toHaveLength(2);
});

test('a torn last line is dropped, any other broken line is an error', async () => {
  await write([opened('stable@a1'), ack('stable@a1')]);
  appendFileSync(file, '{"host":"web-01","t":"ev');
  expect(await read()).toHaveLength(2);
  writeFileSync(file, `{"host":"web-01","t":"nonsense"}\n${readFileSync(file, 'utf8')}`);
  await expect(read()).rejects.toThrow(`${file}:1 is no line of an agent's journal`);
});

test('only the last rollouts are kept', async () => {
  await write(['stable@a1', 'stable@b2', 'stable@c3'].flatMap((id) => [opened(id), ack(id)]));
  expect((await read()).filter((line) => line.t === 'open')).toEqual([
    ...[opened('stable@b2'), opened('stable@c3')],
  ]);
  expect(readFileSync(file, 'utf8')).not.toContain('stable@a1');
});

test('is rewritten when it has grown, and goes on', async () => {
  const journal = await JournalFile.open(file);
  const store = journal.storeOf('web-01');
  for (let i = 0; i < 2_000; i += 1) {
    const id = `stable@${i.toString(16).padStart(8, '0')}`;
    await Promise.all([store.append(opened(id), false), store.append(ack(id), false)]);
  }
  await journal.close();
  expect(readFileSync(file).length).toBeLessThan(400_000);
  expect((await restarted()).current).toMatchObject({
    rolloutId: 'stable@000007cf',
    state: 'Activating',
  });
});

test('after a restart the undelivered is still to be sent, the delivered is not', async () => {
  const settled: JournalLine = {
    t: 'settled',
    rolloutId: 'stable@a1',
    seq: 1,
    outcome: 'accepted',
  };
  const startedAt = '2026-11-01T12:00:02.000Z';
  const event = { kind: 'ActivationStarted', seq: 2, startedAt, switchMethod: 'x' } as const;
  await write([opened('stable@a1'), ack('stable@a1'), settled]);
  await write([{ t: 'event', rolloutId: 'stable@a1', event }]);
  const journal = await restarted();
  expect(journal.unsent?.event).toEqual(event);
  expect(journal.statedSeqs()).toEqual({ 'stable@a1': 1 });
});

test('a probe that flaps for ever does not fill the disk, and what it last said is kept', async () => {
  const id = 'stable@a1';
  const at = '2026-11-01T12:00:02.000Z';
  const results = Array.from({ length: 3_000 }, (_, i): JournalLine => ({
    t: 'event',
    rolloutId: id,
    event: {
      ...{ kind: 'ProbeResult', seq: i + 3, probeName: 'up', mode: 'enforce' },
      ...{ status: i % 2 === 0 ? 'fail' : 'pass', observedAt: at },
    },
  }));
  const event = {
    ...{ kind: 'ActivationCompleted' as const, seq: 2, observedCurrentClosure: 'new' },
    ...{ exitCode: 0, completedAt: at },
  };
  await write([opened(id), ack(id), { t: 'event', rolloutId: id, event }, ...results]);
  const lines = await read();
  expect(lines).toHaveLength(3 + 256);
  const journal = await Journal.load({
    load: () => Promise.resolve(lines),
    append: () => Promise.resolve(),
  });
  expect(journal.current).toMatchObject({
    lastEventSeq: 3_002,
    probes: { up: { status: 'pass' } },
  });
});

test('a rollout that was opened again counts once, from there on', async () => {
  const again: JournalLine[] = [opened('stable@b2'), opened('stable@b2'), opened('stable@b2')];
  await write([opened('stable@a1'), ack('stable@a1'), ...again]);
  const journal = await restarted();
  expect(journal.unsent).toMatchObject({ rolloutId: 'stable@a1' });
  expect(journal.record('stable@a1')).toMatchObject({ state: 'Activating', closed: 'abandoned' });
  expect(await read()).toEqual([opened('stable@a1'), ack('stable@a1'), opened('stable@b2')]);
});

/** What all open files do. */
async function files(): Promise<FileHandle> {
  const some = await open(file);
  await some.close();
  return Object.getPrototypeOf(some) as FileHandle;
}

describe('in a power cut', () => {
  afterEach(() => vi.restoreAllMocks());

  /** More than makes a rewrite due, and less of it worth keeping. */
  const many = Array.from({ length: 2_000 }, (_, i) => opened(`stable@${i.toString(16)}`));

  test('what was renamed stays: the folder is synced, and not once more for each line', async () => {
    await write([]);
    const sync = vi.spyOn(await files(), 'sync');
    const journal = await JournalFile.open(file);
    expect(sync).toHaveBeenCalledTimes(1);
    const store = journal.storeOf('web-01');
    await Promise.all(many.map((line) => store.append(line, false)));
    expect(sync).toHaveBeenCalledTimes(1);
    for (const id of ['stable@a1', 'stable@b2']) await store.append(opened(id), true);
    expect(sync).toHaveBeenCalledTimes(2);
    await journal.close();
  });

  test('no line counts while the folder may still name the old file', async () => {
    const journal = await JournalFile.open(file);
    const store = journal.storeOf('web-01');
    await Promise.all(many.map((line) => store.append(line, false)));
    const trouble = new Error('EIO');
    const sync = vi.spyOn(await files(), 'sync');
    sync.mockRejectedValueOnce(trouble).mockRejectedValueOnce(trouble);
    await expect(store.append(opened('stable@a1'), true)).rejects.toThrow('cannot write');
    await expect(store.append(opened('stable@a1'), true)).rejects.toThrow('cannot write');
    await store.append(opened('stable@b2'), true);
    await journal.close();
    expect((await read()).at(-1)).toEqual(opened('stable@b2'));
    expect(readFileSync(file, 'utf8')).not.toContain('stable@a1');
  });
});

describe('on a full disk', () => {
  afterEach(() => vi.restoreAllMocks());

  /** Of the next write, or of the one after it, only this share gets there. */
  async function tearWrite(share: number, after = 0): Promise<void> {
    const { appendFile } = await files();
    const spy = vi.spyOn(await files(), 'appendFile');
    if (after > 0) spy.mockImplementationOnce(appendFile);
    spy.mockImplementationOnce(async function (this: FileHandle, text) {
      const whole = String(text);
      await this.write(whole.slice(0, Math.floor(whole.length * share)));
      throw new Error('ENOSPC');
    });
  }

  test.each([0.3, 0.8])('nothing lands behind what was torn at %d of two lines', async (share) => {
    await write([opened('stable@a1')]);
    const journal = await JournalFile.open(file);
    const [one, other] = [journal.storeOf('web-01'), journal.storeOf('web-02')];
    await tearWrite(share, 1);
    const results = await Promise.allSettled([
      one.append(opened('stable@b2'), false),
      // What arrives meanwhile goes together in the next write.
      one.append(ack('stable@b2'), true),
      other.append(opened('stable@b2'), true),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(3);
    await other.append(opened('stable@c3'), true);
    await journal.close();
    expect(await read()).toEqual([opened('stable@a1'), opened('stable@b2')]);
    expect(await read('web-02')).toEqual([opened('stable@c3')]);
  });

  test('nothing more is written while torn text cannot be cut off', async () => {
    await write([opened('stable@a1')]);
    const journal = await JournalFile.open(file);
    const store = journal.storeOf('web-01');
    await tearWrite(0.5);
    const trouble = new Error('EIO');
    vi.spyOn(await files(), 'truncate')
      .mockRejectedValueOnce(trouble)
      .mockRejectedValueOnce(trouble);
    const full = 'is the disk full?';
    await expect(store.append(ack('stable@a1'), true)).rejects.toThrow(full);
    await expect(store.append(ack('stable@a1'), true)).rejects.toThrow(full);
    // Ended here, it would begin again: the torn text is its last line.
    await store.append(ack('stable@a1'), true);
    await journal.close();
    expect(await read()).toEqual([opened('stable@a1'), ack('stable@a1')]);
  });

  test('a rewrite that fails leaves what was there', async () => {
    await write([opened('stable@a1'), ack('stable@a1')]);
    await tearWrite(0.5);
    await expect(JournalFile.open(file)).rejects.toThrow('ENOSPC');
    expect(await read()).toHaveLength(2);
  });
});
