// Whether a URL answers 2xx, for images without a shell or curl; by default this container's own liveness.
const url =
  process.argv[2] ?? `http://127.0.0.1:${process.env.MUSTER_LISTEN_PORT ?? '8080'}/healthz`;
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  console.log(`${url}: ${answer.status} ${await answer.text()}`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  console.error(`${url}: ${String(cause)}`);
  process.exitCode = 1;
}
