/** Of the derived tables, those that say who is let in. */
import type { EnrolmentRow, TokenRow } from '../reducer/state/rows.ts';
import type { Table } from './tables.ts';

export const TOKEN: Table<TokenRow> = {
  name: 'operator_token',
  key: ['tokenId'],
  columns: {
    seq: 'bigint',
    tokenId: 'text',
    name: 'text',
    role: 'text',
    channels: 'json',
    createdBy: 'text',
    createdAt: 'timestamptz',
    expiresAt: 'timestamptz',
  },
};

export const ENROLMENT: Table<EnrolmentRow> = {
  name: 'enrolment',
  key: ['nonce'],
  columns: {
    seq: 'bigint',
    nonce: 'text',
    hostname: 'text',
    csrHash: 'text',
    keyFingerprint: 'text',
    serial: 'text',
    notBefore: 'timestamptz',
    notAfter: 'timestamptz',
    tokenExpiresAt: 'timestamptz',
    nonceExpiresAt: 'timestamptz',
    burntAt: 'timestamptz',
    refusals: 'integer',
  },
};
