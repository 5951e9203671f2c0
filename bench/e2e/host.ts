/** One simulated host: it moves to its target once, then has one probe result after the other to report. */
import { setTimeout as delay } from 'node:timers/promises';
import { requestText, type Answer, type Connection } from './connection.ts';

const POLL_SECONDS = 10;
const PATH = '/v1/agent/events';

const nothing = (): Promise<void> => Promise.resolve();

export class Host {
  readonly name: string;
  private rolloutId: string | null = null;
  private closure: string;
  private seq = 0;

  constructor(name: string) {
    this.name = name;
    this.closure = `old-${name}`;
  }

  /** Heartbeat, dispatch, acknowledgement, switch: from here on it soaks. */
  async move(connection: Connection): Promise<void> {
    await connection.send(this.heartbeat());
    await this.travel(connection);
  }

  /** The same for a host that is known. `pause` follows each event. */
  async travel(connection: Connection, pause: () => Promise<unknown> = nothing): Promise<void> {
    const dispatch = await this.dispatched(connection);
    this.rolloutId = dispatch.rollout_id;
    const at = new Date().toISOString();
    const before = this.closure;
    this.closure = dispatch.target_closure;
    for (const event of [
      { kind: 'DispatchAck', currentClosureAtDispatch: before, receivedAt: at },
      { kind: 'ActivationStarted', startedAt: at, switchMethod: 'switch' },
      {
        kind: 'ActivationCompleted',
        observedCurrentClosure: this.closure,
        exitCode: 0,
        completedAt: at,
      },
    ]) {
      const { status, body } = await connection.send(this.post(event));
      // 202: durable, and judged before what follows.
      if (status !== 204 && status !== 202)
        throw new Error(`${this.name}: ${event.kind} was answered ${status} ${body}`);
      await pause();
    }
  }

  /** A long poll for permission to move. */
  poll(seconds: number): string {
    return requestText('GET', `/v1/agent/dispatch?wait=${seconds}`, this.name);
  }

  /** The end of its soak. */
  converge(): string {
    return this.post({
      kind: 'Converged',
      convergedAt: new Date().toISOString(),
      currentClosure: this.closure,
    });
  }

  heartbeat(): string {
    const { name: hostname, rolloutId } = this;
    return requestText('POST', '/v1/agent/heartbeat', hostname, {
      hostname,
      rollout_id: rolloutId,
      current_closure: this.closure,
      at: new Date().toISOString(),
      agent_version: 'bench',
      last_event_seq_by_rollout: rolloutId === null ? {} : { [rolloutId]: this.seq },
    });
  }

  /** The next event; each changes the host's record, and hence is a row of the log and of the state. */
  probe(): string {
    const status = this.seq % 2 === 0 ? 'pass' : 'fail';
    const observedAt = new Date().toISOString();
    return this.post({
      kind: 'ProbeResult',
      probeName: 'nginx',
      mode: 'observe',
      status,
      observedAt,
    });
  }

  private post(event: object): string {
    this.seq += 1;
    const { name: hostname, rolloutId, seq } = this;
    return requestText('POST', PATH, hostname, { hostname, rolloutId, event: { ...event, seq } });
  }

  private async dispatched(
    connection: Connection,
  ): Promise<{ rollout_id: string; target_closure: string }> {
    for (;;) {
      const answer: Answer = await connection.send(this.poll(POLL_SECONDS));
      if (answer.status === 200) return readDispatch(answer.body);
      await delay(100);
    }
  }
}

function readDispatch(body: string): { rollout_id: string; target_closure: string } {
  const value: unknown = JSON.parse(body);
  if (
    typeof value === 'object' &&
    value !== null &&
    'rollout_id' in value &&
    'target_closure' in value &&
    typeof value.rollout_id === 'string' &&
    typeof value.target_closure === 'string'
  ) {
    return { rollout_id: value.rollout_id, target_closure: value.target_closure };
  }
  throw new Error(`no dispatch: ${body}`);
}
