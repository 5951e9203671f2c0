/** A control plane that is played by the test: it notes what it is told and answers what it is asked to. */
import type {
  ControlPlane,
  Delivery,
  Dispatch,
  DispatchAnswer,
  Heartbeat,
  HeartbeatAnswer,
} from '../../../src/agent/control-plane.ts';
import type { HostEvent } from '../../../src/reducer/host/events.ts';

export class FakeControlPlane implements ControlPlane {
  /** Every post, also those that were not accepted. */
  readonly posts: { rolloutId: string; event: HostEvent }[] = [];
  readonly heartbeats: Heartbeat[] = [];
  /** What to answer to a post; accepted when nothing is said. */
  answer: (event: HostEvent) => Delivery = () => ({ kind: 'accepted' });
  heard: () => HeartbeatAnswer = () => ({ kind: 'heard', replayFrom: null, bootstrap: [] });
  private offers: Dispatch[] = [];
  private parked: (() => void)[] = [];

  offer(dispatch: Dispatch): void {
    this.offers.push(dispatch);
    for (const wake of this.parked.splice(0)) wake();
  }

  postEvent(rolloutId: string, event: HostEvent): Promise<Delivery> {
    this.posts.push({ rolloutId, event });
    return Promise.resolve(this.answer(event));
  }

  heartbeat(body: Heartbeat): Promise<HeartbeatAnswer> {
    this.heartbeats.push(body);
    return Promise.resolve(this.heard());
  }

  async dispatch(signal: AbortSignal): Promise<DispatchAnswer> {
    while (!signal.aborted) {
      const dispatch = this.offers.shift();
      if (dispatch !== undefined) return { kind: 'dispatch', dispatch };
      await new Promise<void>((resolve) => {
        this.parked.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return { kind: 'none' };
  }

  /** `kind seq` of every post, in order. */
  get story(): string[] {
    return this.posts.map(({ event }) => `${event.kind} ${event.seq}`);
  }
}
