import { describe, expect, expectTypeOf, it } from 'vitest';
import type { HostEvent, HostEventKind } from '../../src/reducer/host/events.ts';
import { decodeHostEvent, HostEventSchema, type EventDecode } from '../../src/wire/event.ts';

const AT = '2026-05-16T01:27:01.000Z';

/** One of each kind, as an agent writes it. */
const WIRE: Readonly<Record<HostEventKind, Readonly<Record<string, unknown>>>> = {
  DispatchAck: { currentClosureAtDispatch: 'old', receivedAt: AT },
  ActivationStarted: { startedAt: AT, switchMethod: 'switch' },
  ActivationCompleted: { observedCurrentClosure: 'new', exitCode: 0, completedAt: AT },
  ActivationFailed: { exitCode: 4, stderrTail: 'boom', failedAt: AT },
  ActivationDeferred: { component: 'kernel', deferredAt: AT },
  ProbeTopologyDeclared: {
    probes: [{ probeName: 'http', kind: 'http', mode: 'enforce' }],
    declaredAt: AT,
  },
  ProbeObservedFirst: { probeName: 'http', mode: 'observe', observedAt: AT },
  ProbeResult: { probeName: 'http', mode: 'enforce', status: 'pass', observedAt: AT },
  ProbeFailureFirst: { probeName: 'http', mode: 'enforce', firstFailedAt: AT },
  Failed: {
    failedAt: AT,
    sustainedDurationSecs: 12.5,
    failingProbes: ['http'],
    policyApplied: 'rollback-and-halt',
  },
  RollbackComplete: { revertedToClosure: 'old', exitCode: 0, completedAt: AT },
  Converged: { convergedAt: AT, currentClosure: 'new' },
};

const posts = Object.entries(WIRE).map(([kind, fields]) => ({ kind, seq: 7, ...fields }));

function refusal(decoded: EventDecode): Exclude<EventDecode, { ok: true }> {
  if (decoded.ok) throw new Error('expected a refusal');
  return decoded;
}

describe('decodeHostEvent', () => {
  it.each(posts)('takes $kind as agents send it', (post) => {
    expect(decodeHostEvent(post)).toEqual({ ok: true, event: post });
  });

  it('is what the reducer takes', () => {
    expectTypeOf<Extract<EventDecode, { ok: true }>['event']>().toEqualTypeOf<HostEvent>();
    const documented = HostEventSchema.anyOf.map((schema) => schema.properties.kind.const);
    expectTypeOf<(typeof documented)[number]>().toEqualTypeOf<HostEventKind>();
    expect(documented).toEqual(Object.keys(WIRE));
  });

  it.each(posts)('drops members of $kind that it does not know', (post) => {
    expect(decodeHostEvent({ ...post, later: { added: 1 } })).toEqual({ ok: true, event: post });
  });

  it.each(posts)('names the member of $kind that is missing', (post) => {
    for (const field of Object.keys(post).filter((name) => name !== 'kind')) {
      const broken = Object.fromEntries(Object.entries(post).filter(([name]) => name !== field));
      const { code, detail } = refusal(decodeHostEvent(broken));
      expect({ code, detail }).toEqual({
        code: 'malformed',
        detail: `event.${field} is missing; send it`,
      });
    }
  });

  it('keeps the optional parts of a probe result and reads null as absent', () => {
    const sub = { controlId: 'A.1', status: 'fail', framework: 'iso' };
    const post = { kind: 'ProbeResult', seq: 1, ...WIRE.ProbeResult };
    const sent = {
      ...post,
      failureReason: 'slow',
      subResults: [{ ...sub, article: null, effectiveMode: 'observe', overrideReason: null }],
    };
    expect(decodeHostEvent(sent)).toEqual({
      ok: true,
      event: { ...post, failureReason: 'slow', subResults: [{ ...sub, effectiveMode: 'observe' }] },
    });
    expect(decodeHostEvent({ ...post, failureReason: null, subResults: null })).toEqual({
      ok: true,
      event: post,
    });
  });

  it('makes times canonical and refuses junk with an example', () => {
    const post = { kind: 'Converged', seq: 1, currentClosure: 'c' };
    expect(decodeHostEvent({ ...post, convergedAt: '2026-05-16T03:27:01.1239+02:00' })).toEqual({
      ok: true,
      event: { ...post, convergedAt: '2026-05-16T01:27:01.123Z' },
    });
    const { detail } = refusal(decodeHostEvent({ ...post, convergedAt: 'yesterday, about noon' }));
    expect(detail).toContain('send one such as 2026-05-16T01:27:01.000Z');
  });

  it('names unknown kinds apart from malformed ones and keeps their seq', () => {
    expect(decodeHostEvent({ kind: 'Teleported', seq: 3 })).toMatchObject({
      ok: false,
      code: 'unknown-kind',
      seq: 3,
    });
    expect(decodeHostEvent({ kind: 'toString', seq: 3 })).toMatchObject({ code: 'unknown-kind' });
  });

  it.each([0, -1, 1.5, 2 ** 53, '7', null])('refuses seq %j', (seq) => {
    const { code, seq: kept } = refusal(
      decodeHostEvent({ kind: 'Converged', ...WIRE.Converged, seq }),
    );
    expect({ code, kept }).toEqual({ code: 'malformed', kept: null });
  });

  it.each([null, 'x', [], { seq: 1 }, { kind: 5 }])('refuses %j', (value) => {
    expect(refusal(decodeHostEvent(value)).code).toBe('malformed');
  });

  it('lists what an enumeration allows', () => {
    const post = { kind: 'ProbeResult', seq: 1, ...WIRE.ProbeResult, mode: 'strict' };
    expect(refusal(decodeHostEvent(post)).detail).toBe(
      'event.mode: expected one of enforce, observe, disabled',
    );
  });
});
