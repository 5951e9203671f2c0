/** Verdicts as they are stored, and checked when read back. */
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { RefusalCode, Verdict } from '../reducer/log.ts';

const CODES = [
  'seq-regression',
  'illegal-transition',
  'invariant-violated',
  'unknown-rollout-host',
  'unknown-kind',
  'malformed',
  'too-large',
  'not-found',
  'stale-expectation',
  'illegal-command',
  'nonce-used',
  'token-expired',
] as const satisfies readonly RefusalCode[];

const Stored = Type.Union([
  Type.Object({ status: Type.Literal('applied') }),
  Type.Object({ status: Type.Literal('duplicate'), lastEventSeq: Type.Number() }),
  Type.Object({ status: Type.Literal('noop') }),
  Type.Object({
    status: Type.Literal('refused'),
    code: Type.Union(CODES.map((code) => Type.Literal(code))),
    detail: Type.String(),
    state: Type.Union([Type.String(), Type.Null()]),
    lastEventSeq: Type.Union([Type.Number(), Type.Null()]),
  }),
]);

const check = TypeCompiler.Compile(Stored);

/** Null for what this version does not know: a newer leader's verdict is then "no verdict" here. */
export function decodeVerdict(value: unknown): Verdict | null {
  return check.Check(value) ? value : null;
}
