/** Hosts for the tests of a file: whatever a test leaves running is stopped after it. */
import { afterEach } from 'vitest';
import { TestHost } from './host.ts';

/** Called once, at the head of the file; makes one host at a time. */
export function hostsOfTests(): () => TestHost {
  const hosts: TestHost[] = [];
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop().catch(() => undefined);
  });
  return () => {
    const host = new TestHost();
    hosts.push(host);
    return host;
  };
}
