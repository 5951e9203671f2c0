/** Streams of the log over a log in memory: who reads, how often, and what a slow client is given. */
import { describe, expect, it } from 'vitest';
import { LogStreams, type LogStream, type Sink } from '../../src/api/log-stream.ts';
import type { Tail, TailFilter, TailQuery, TailRow } from '../../src/eventlog/tail.ts';
import { matches } from '../../src/eventlog/tail.ts';
import { createMetrics } from '../../src/telemetry.ts';
import { silentLogger } from '../support/installation.ts';
import { fakeClock } from './support/fakes.ts';

const rowOf = (seq: number): TailRow => ({
  seq,
  ts: '2026-05-16T01:27:01.000Z',
  epoch: 1,
  kind: seq % 2 === 0 ? 'transition' : 'agent_event',
  hostname: `host-${String(seq % 3)}`,
  rolloutId: null,
  channel: null,
  actor: null,
  causedBy: null,
  payload: { v: 1, changes: [] },
});

class TestSink implements Sink {
  text = '';
  ended = false;
  room = Infinity;

  send(text: string): boolean {
    this.text += text;
    this.room -= 1;
    return this.room > 0;
  }

  end(): void {
    this.ended = true;
  }

  get seqs(): number[] {
    const found = this.text.matchAll(/^data: \{"seq":(\d+)/gm);
    return [...found].map(([, seq]) => Number(seq));
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function scene(maxStreams = 1_000) {
  const clock = fakeClock();
  let head = 0;
  let incarnation = 'one';
  let floor = 1;
  let reads = 0;
  let away = false;
  let wake = (): void => undefined;
  const refused = new Set<TestSink>();
  const read = (query: TailQuery): Promise<Tail> => {
    reads += 1;
    if (away) return Promise.reject(new Error('away'));
    const rows: TailRow[] = [];
    const first = Math.max((query.after ?? head) + 1, floor);
    for (let seq = first; seq <= head && rows.length < query.limit; seq += 1) {
      if (matches(rowOf(seq), query)) rows.push(rowOf(seq));
    }
    return Promise.resolve({ incarnation, head, floor, rows, more: rows.length === query.limit });
  };
  const streams = new LogStreams({
    clock,
    read,
    maxStreams,
    log: silentLogger(),
    metrics: createMetrics(),
    random: () => 0,
    wake: {
      subscribe(listener) {
        wake = listener;
        return () => {
          wake = () => undefined;
        };
      },
    },
  });
  return {
    clock,
    streams,
    reads: () => reads,
    commit(rows: number, quietly = false) {
      head += rows;
      if (!quietly) wake();
    },
    restore(to: number, as = incarnation) {
      head = to;
      incarnation = as;
      wake();
    },
    detachBelow(seq: number) {
      floor = seq;
    },
    refuse(sink: TestSink) {
      refused.add(sink);
    },
    setAway(is: boolean) {
      away = is;
    },
    async open(from: number | null = null, filter: TailFilter = {}, whole = false) {
      const sink = new TestSink();
      const at = await streams.begin(from === null ? null : { incarnation: 'one', seq: from });
      const stream: LogStream = streams.start({
        ...{ sink, filter, at, whole },
        isAdmitted: () => Promise.resolve(!refused.has(sink)),
      });
      await settled();
      return { sink, stream };
    },
  };
}

describe('streams of the log', () => {
  it('share one read: 500 idle ones cost no more than one', async () => {
    const { open, commit, reads } = scene();
    const all = await Promise.all(Array.from({ length: 500 }, () => open()));
    const before = reads();
    commit(3);
    await settled();
    expect(reads() - before).toBe(1);
    expect(new Set(all.map(({ sink }) => sink.seqs.join()))).toEqual(new Set(['1,2,3']));
  });

  it('end for a reader who would not be admitted any more, and for no other', async () => {
    const { open, refuse, commit, clock, streams } = scene();
    const [kept, gone] = [await open(), await open()];
    refuse(gone.sink);
    clock.advance(1_000);
    await settled();
    commit(1);
    await settled();
    expect([kept.sink.seqs, gone.sink.seqs, streams.open]).toEqual([[1], [], 1]);
  });

  it('are not read for when nobody listens', async () => {
    const { commit, reads, streams, open } = scene();
    commit(1);
    expect(reads()).toBe(0);
    const { stream } = await open();
    streams.close(stream);
    const before = reads();
    commit(1);
    expect(reads()).toBe(before);
  });

  it('catch up in pages, filtered, and then follow', async () => {
    const { open, commit } = scene();
    commit(1_234);
    const { sink } = await open(10, { kind: 'transition' });
    commit(2);
    await settled();
    const wanted = Array.from({ length: 1_236 }, (_, i) => i + 1);
    expect(sink.seqs).toEqual(wanted.filter((seq) => seq > 10 && seq % 2 === 0));
  });

  it('leave rows in the database while a client is slow', async () => {
    const { open, commit, streams } = scene();
    const { sink, stream } = await open();
    sink.room = 2;
    commit(5);
    await settled();
    expect(sink.seqs).toEqual([1, 2]);
    commit(5);
    await settled();
    expect(sink.seqs).toEqual([1, 2]);
    sink.room = Infinity;
    streams.resume(stream);
    await settled();
    commit(1);
    await settled();
    expect(sink.seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('make good a lost announcement and a database that was away', async () => {
    const { open, commit, clock, setAway } = scene();
    const { sink } = await open();
    commit(1, true);
    clock.advance(15_000);
    await settled();
    expect(sink.seqs).toEqual([1]);
    setAway(true);
    commit(1);
    await settled();
    setAway(false);
    clock.advance(15_000);
    await settled();
    expect(sink.seqs).toEqual([1, 2]);
    clock.advance(15_000);
    expect(sink.text.endsWith('id: one:2\n\n')).toBe(true);
  });

  it('tell of another incarnation once, then of what follows', async () => {
    const { open, commit, restore } = scene();
    const { sink } = await open();
    commit(5);
    await settled();
    restore(3, 'two');
    await settled();
    commit(1);
    await settled();
    expect(sink.seqs).toEqual([1, 2, 3, 4, 5, 4]);
    expect(sink.text.match(/event: incarnation/g)).toHaveLength(1);
    expect(sink.text).toContain(
      'id: two:3\nevent: incarnation\ndata: {"incarnation":"two","was":"one","head":3}',
    );
  });

  it('notice a head that fell although the incarnation stayed', async () => {
    const { open, commit, restore } = scene();
    const { sink } = await open();
    commit(5);
    await settled();
    restore(2);
    await settled();
    expect(sink.text).toContain('event: incarnation\ndata: {"incarnation":"one","was":"one"');
  });

  it('say which rows retention has detached', async () => {
    const { open, commit, detachBelow } = scene();
    commit(9);
    detachBelow(6);
    const { sink } = await open(2);
    expect(sink.text).toContain('event: missing\ndata: {"from":3,"to":5}');
    expect(sink.seqs).toEqual([6, 7, 8, 9]);
  });

  it('end after an hour, when the replica stops, and never begin beyond their number', async () => {
    const { open, clock, streams } = scene(2);
    const first = await open();
    clock.advance(3_000_000);
    const second = await open();
    await expect(open()).rejects.toMatchObject({ code: 'not-accepted' });
    clock.advance(601_000);
    expect([first.sink.ended, second.sink.ended, streams.open]).toEqual([true, false, 1]);
    streams.stop();
    expect([second.sink.ended, streams.open]).toEqual([true, 0]);
    await expect(open()).rejects.toMatchObject({ code: 'not-accepted' });
  });
});
