/** Instants of queued inputs: the core compares them as text, and the tables must be able to give them back. */
import { describe, expect, it } from 'vitest';
import { decodeLoggedInput, decodeStoredInput, InputDecodeError } from '../../src/wire/input.ts';

const AT = '2026-05-16T01:27:01.000Z';
const certificate = { serial: '01', notBefore: AT, notAfter: AT };
const enrolment = { hostname: 'web-01', csrHash: 'c', keyFingerprint: 'k', certificate };

/** Each kind that tells of instants by itself, with the path of each. */
const INPUTS: readonly (readonly [kind: string, input: object, paths: readonly string[]])[] = [
  ['TrustChanged', { rejectBefore: AT }, ['rejectBefore']],
  [
    'HostReport',
    {
      ...{ hostname: 'web-01', at: AT, currentClosure: null, rolloutId: null, agentVersion: null },
      lastEventSeqByRollout: {},
    },
    ['at'],
  ],
  [
    'HostsUnreachable',
    { observedAt: AT, hosts: [{ hostname: 'web-01', lastHeardAt: AT }] },
    ['observedAt', 'hosts.0.lastHeardAt'],
  ],
  [
    'EnrolmentRequested',
    { ...enrolment, nonce: 'n', tokenExpiresAt: AT, nonceExpiresAt: AT },
    ['tokenExpiresAt', 'nonceExpiresAt', 'certificate.notBefore', 'certificate.notAfter'],
  ],
  [
    'CertificateRenewed',
    { ...enrolment, previousKeyFingerprint: null },
    ['certificate.notBefore', 'certificate.notAfter'],
  ],
];
const CASES = INPUTS.flatMap(([kind, input, paths]) =>
  paths.map((path) => [kind, path, { kind, ...input }] as const),
);

/** A copy with another text at the path. */
function withText(input: object, path: string, text: string): object {
  const copy = structuredClone(input);
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const holder = keys.reduce<unknown>((at, key) => Reflect.get(Object(at), key), copy);
  Reflect.set(Object(holder), last, text);
  return copy;
}

describe.each(CASES)('%s.%s', (kind, path, input) => {
  it('is taken where it is a canonical instant', () => {
    expect(decodeStoredInput(kind, input)).toEqual(input);
  });

  it.each([
    'infinity',
    '-infinity',
    'tomorrow',
    '',
    '2026-05-16',
    '2026-05-16T01:27:01Z',
    '2026-05-16T03:27:01.000+02:00',
    '+020000-01-01T00:00:00.000Z',
    '9999-01-01T00:00:00.000Z',
  ])('is refused from the queue, and read from the log, where it is %j', (text) => {
    const other = withText(input, path, text);
    const decode = (): unknown => decodeStoredInput(kind, other);
    expect(decode).toThrow(InputDecodeError);
    expect(decode).toThrow(/^\w+(\.\w+)*: .*such as 2026-05-16T01:27:01\.000Z$/);
    expect(decode).toThrow(path.split('.').at(-1));
    expect(decodeLoggedInput(kind, other)).toEqual(other);
  });
});
