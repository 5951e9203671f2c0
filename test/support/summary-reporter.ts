/**
 * Makes `N passed, N failed, N skipped` the last line of a test run, whatever else prints.
 *
 * It is written as the process exits, after every other reporter and teardown. What fails without
 * being a test (a file that does not load, an error nobody caught, a server that does not start)
 * counts as one failure, and a run in which no test ran is a failure too: a green line must mean
 * that something was tested.
 */
import { writeSync } from 'node:fs';
import type { Reporter, TestModule, SerializedError } from 'vitest/node';

export default class SummaryReporter implements Reporter {
  private passed = 0;
  private failed = 0;
  private skipped = 0;
  private watching = false;

  onInit(vitest: { readonly config: { readonly watch: boolean } }): void {
    if (this.watching || vitest.config.watch) return;
    this.watching = true;
    process.once('exit', (code) => {
      const nothingRan = this.passed + this.failed === 0;
      if (nothingRan || (code !== 0 && this.failed === 0)) this.failed += 1;
      if (this.failed > 0 && code === 0) process.exitCode = 1;
      writeSync(1, `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.passed = this.skipped = 0;
    this.failed = unhandled.length;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      const count = (state: string): number => states.filter((s) => s === state).length;
      this.passed += count('passed');
      this.skipped += count('skipped') + count('pending');
      // A file or a hook can fail without any test in it failing.
      this.failed += Math.max(count('failed'), module.ok() ? 0 : 1);
    }
  }
}
