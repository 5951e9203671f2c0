/**
 * The transaction of one batch on the writer session: begun, and fenced, by whoever needs it first, an observation or the
 * commit. While it is open the batch may still be reduced, for longer than the server lets a session be idle in a
 * transaction, so something travels on it; when the process is frozen nothing does, and the server ends it.
 */
import type { Session } from '../db/session.ts';
import { rollback } from '../db/transaction.ts';
import { fence } from './election.ts';

/** Two are missed before `idle_in_transaction_session_timeout` (`writer.ts`) strikes. */
const AWAKE_MS = 1_500;

export class WriterTransaction {
  private readonly writer: Session;
  private readonly epoch: number;
  private isOpen = false;
  private awake: NodeJS.Timeout | undefined;

  constructor(writer: Session, epoch: number) {
    this.writer = writer;
    this.epoch = epoch;
    writer.over.addEventListener('abort', () => {
      this.end();
    });
  }

  /**
   * From here on the session writes in these transactions only. All of one is sent without waiting for its beginning: should
   * that fail alone, as when it is cancelled, each statement behind it would else be committed by itself, beyond the fence.
   */
  async guard(): Promise<void> {
    await this.writer.run((sql) => sql`SET default_transaction_read_only = on`.execute());
  }

  /** Rejects when a newer epoch was taken. */
  async begin(): Promise<void> {
    if (this.isOpen) return;
    this.isOpen = true;
    this.awake = setInterval(() => {
      // Whoever uses the session next hears what is wrong with it.
      this.writer.run((sql) => sql`SELECT`).catch(() => undefined);
    }, AWAKE_MS);
    await this.writer.run(async (sql) => {
      await Promise.all([sql`BEGIN READ WRITE`.execute(), fence(sql, this.epoch)]);
    });
  }

  /** From here on its own statements keep it awake, and nothing is to wait behind the long ones. */
  settle(): void {
    clearInterval(this.awake);
  }

  /** Its COMMIT is sent, or it is over with its session: the next one may begin. */
  end(): void {
    this.settle();
    this.isOpen = false;
  }

  async undo(): Promise<void> {
    this.end();
    await rollback(this.writer);
  }
}
