/** How much the core does for something, counted instead of timed: how often each block of its code is executed. */
import { Session } from 'node:inspector/promises';

export class BlockCounter {
  private readonly session = new Session();

  async start(): Promise<void> {
    this.session.connect();
    await this.session.post('Profiler.enable');
    await this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  async count(act: () => void): Promise<number> {
    await this.session.post('Profiler.takePreciseCoverage');
    act();
    const { result } = await this.session.post('Profiler.takePreciseCoverage');
    let blocks = 0;
    for (const { url, functions } of result) {
      if (!url.includes('/src/reducer/')) continue;
      for (const { ranges } of functions) for (const range of ranges) blocks += range.count;
    }
    return blocks;
  }

  stop(): void {
    this.session.disconnect();
  }
}
