/** The thread of one attack: what it takes to shoot must not slow down whoever measures. */
import { workerData } from 'node:worker_threads';
import { ATTACKS } from './attacks.ts';

const [name, port]: readonly string[] = String(workerData).split(' ');
const attack = ATTACKS.get(name ?? '');
if (attack === undefined) throw new Error(`no attack ${name ?? ''}`);
// Whoever started this thread ends it.
await attack(Number(port), new AbortController().signal);
