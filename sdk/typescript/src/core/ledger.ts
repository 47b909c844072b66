/**
 * What waits for the disk: writes in their order, and what becomes true when they are there. One commit is in flight at a
 * time; what comes meanwhile gathers for the next one, so the disk's speed sets the batch.
 */

import type { Write } from "./effects.js";
import type { Position } from "./receiving.js";
import type { Entry, Outbound } from "./sending.js";

/** The writes of one commit, with the answers and streams that become durable by it, and the cursor it reaches. */
export class Batch {
  readonly writes: Write[] = [];
  readonly answers: [Outbound, Entry][] = [];
  readonly streams: [Outbound, number][] = [];
  cursor: Position = [0, 0];
}

/** Writes on their way. */
export class Ledger {
  private number = 0;
  private next = new Batch();
  private inFlight: Batch | undefined;
  private cursor: Position;

  constructor(seq: number, rev: number) {
    this.cursor = [seq, rev];
  }

  /** A commit is in flight. */
  get busy(): boolean {
    return this.inFlight !== undefined;
  }

  /** Writes that wait for the next commit. */
  get backlog(): number {
    return this.next.writes.length;
  }

  write(write: Write): void {
    this.next.writes.push(write);
  }

  answer(outbound: Outbound, entry: Entry, write: Write): void {
    this.next.writes.push(write);
    this.next.answers.push([outbound, entry]);
  }

  stream(outbound: Outbound, stream: number): void {
    this.next.writes.push({ save_stream: { conversation: outbound.conversation, stream } });
    this.next.streams.push([outbound, stream]);
  }

  /** The next commit, which takes the cursor to (seq, rev); undefined when one is in flight or nothing waits. */
  commit(seq: number, rev: number): { number: number; writes: readonly Write[] } | undefined {
    if (this.inFlight !== undefined) return undefined;
    const batch = this.next;
    batch.cursor = [seq, rev];
    if (seq !== this.cursor[0] || rev !== this.cursor[1]) {
      this.cursor = batch.cursor;
      batch.writes.push({ save_cursor: { seq, rev } });
    }
    if (batch.writes.length === 0) return undefined;
    this.inFlight = batch;
    this.next = new Batch();
    this.number += 1;
    return { number: this.number, writes: batch.writes };
  }

  /** The commit in flight is on the disk. */
  committed(number: number): Batch {
    const batch = this.inFlight;
    if (batch === undefined || number !== this.number) throw new Error("committed without a commit, or out of order");
    this.inFlight = undefined;
    return batch;
  }
}
