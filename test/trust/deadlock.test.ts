import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/trust/json.ts';
import { verifyFleet } from '../../src/trust/verify.ts';
import { fleetDocument, NOW, signed, trust } from './support.ts';

/** `web-1>edge-1`: web-1 waits for edge-1. */
function edges(...arrows: string[]): JsonObject[] {
  return arrows.map((arrow) => {
    const [gated = '', gates = ''] = arrow.split('>');
    return { gated, gates };
  });
}

function verdict(change: JsonObject): string {
  const result = verifyFleet(signed(fleetDocument(change)), { trust, now: NOW });
  return result.ok ? 'ok' : `${result.reason}: ${result.detail}`;
}

describe('configuration-deadlock', () => {
  it.each<[string, string[], RegExp]>([
    ['a host that waits for itself', ['web-1>web-1'], /web-1 waits for web-1$/],
    ['two hosts', ['web-1>web-2', 'web-2>web-1'], /web-1 waits for web-2 waits for web-1$/],
    [
      'a long way round',
      ['a>b', 'b>c', 'c>d', 'd>b', 'x>a'],
      /b waits for c waits for d waits for b/,
    ],
    ['across channels', ['web-1>edge-1', 'edge-1>web-1'], /cycle/],
  ])('edge cycle: %s', (_name, arrows, detail) => {
    expect(verdict({ edges: edges(...arrows) })).toMatch(/^configuration-deadlock: edges: a cycle/);
    expect(verdict({ edges: edges(...arrows) })).toMatch(detail);
  });

  it('channel-edge cycle, in either spelling', () => {
    expect(verdict({ channelEdges: edges('stable>edge', 'edge>stable') })).toMatch(
      /^configuration-deadlock: channelEdges: a cycle/,
    );
    const old = [
      { after: 'stable', before: 'edge' },
      { after: 'edge', before: 'stable' },
    ];
    expect(verdict({ channelEdges: old })).toMatch(/^configuration-deadlock/);
  });

  it('an edge against the wave order of one channel', () => {
    expect(verdict({ edges: edges('web-1>db-1') })).toMatch(
      /"web-1" \(wave 0\) waits for "db-1", which comes later \(wave 1\)/,
    );
  });
});

describe('no deadlock', () => {
  it.each<[string, JsonObject]>([
    ['an edge along the wave order', { edges: edges('db-1>web-1') }],
    ['an edge within a wave', { edges: edges('web-1>web-2') }],
    ['an edge across channels', { edges: edges('edge-1>db-1') }],
    ['hosts that do not exist', { edges: edges('web-1>ghost', 'ghost>phantom') }],
    ['the same edge twice', { edges: edges('web-1>web-2', 'web-1>web-2') }],
    ['a diamond', { edges: edges('a>b', 'a>c', 'b>d', 'c>d') }],
    ['one channel edge', { channelEdges: edges('stable>edge') }],
  ])('%s', (_name, change) => {
    expect(verdict(change)).toBe('ok');
  });

  it('a chain of 100,000 hosts, which would exhaust a recursive search', () => {
    const chain = Array.from({ length: 100_000 }, (_, i) => ({
      gated: `h${String(i)}`,
      gates: `h${String(i + 1)}`,
    }));
    expect(verdict({ edges: chain })).toBe('ok');
    const closed = [...chain, { gated: 'h100000', gates: 'h0' }];
    expect(verdict({ edges: closed })).toMatch(/cycle.*waits for …/);
  });
});
