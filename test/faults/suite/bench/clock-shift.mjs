// Preloaded into the processes under test: wall time is off by the milliseconds that a file holds, now.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const file = process.env['FAULT_CLOCK_FILE'];
const RealDate = Date;
let offset = 0;

function look() {
  try {
    offset = Number(readFileSync(String(file), 'utf8')) || 0;
  } catch {
    offset = 0; // no file: no shift
  }
}

/** @type {(date: DateConstructor, given: unknown[]) => object} */
const make = Reflect.construct;

globalThis.Date = new Proxy(RealDate, {
  construct: (date, given) => make(date, given.length === 0 ? [date.now() + offset] : given),
  get(date, key) {
    /** @type {unknown} */
    const own = Reflect.get(date, key, date);
    return key === 'now' ? () => RealDate.now() + offset : own;
  },
});

if (file !== undefined) setInterval(look, 50).unref();
