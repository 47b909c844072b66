/**
 * The receiver's side: what of the mailbox and of the registers is taken, what is acked, when a rewind is asked for.
 *
 * Mailbox rows (by seq) and registers (by rev) follow the same rule: take only what starts at or before the cursor and ends
 * after it; drop everything else and repeat the Ack of the unchanged cursor, at most once a second. So a lost batch can never
 * be acked over. Acked is only what is durable here.
 */

const REWIND_INTERVAL_MS = 1000; // the server ignores more

export type Position = readonly [seq: number, rev: number];

/** One of the two cursors. */
export class Cursor {
  taken: number; // in this process; the writes may still be on their way to the disk
  durable: number;

  constructor(position: number) {
    this.taken = position;
    this.durable = position;
  }

  /** Whether the row at `position` is the next one; then it counts as taken. */
  take(prev: number, position: number): boolean {
    if (prev <= this.taken && this.taken < position) {
      this.taken = position;
      return true;
    }
    return false;
  }
}

/** Both cursors, and when to ack. */
export class Inbox {
  readonly seq: Cursor;
  readonly rev: Cursor;
  private acked: Position; // in this session
  private rewind = false;
  private rewindAt = 0; // not before

  constructor(seq: number, rev: number) {
    this.seq = new Cursor(seq);
    this.rev = new Cursor(rev);
    this.acked = [seq, rev];
  }

  /** The cursor for Hello. Only right when everything taken is durable. */
  hello(): Position {
    this.acked = [this.seq.durable, this.rev.durable];
    this.rewind = false;
    return this.acked;
  }

  /** Go on from elsewhere, as Welcome said. */
  jump(seq: number, rev: number): void {
    this.seq.taken = seq;
    this.rev.taken = rev;
  }

  /** A row was not the next one. */
  dropped(): void {
    this.rewind = true;
  }

  /** A row was taken: what was asked for is coming. */
  bridged(): void {
    this.rewind = false;
  }

  /** Everything taken is durable. */
  get settled(): boolean {
    return this.seq.taken === this.seq.durable && this.rev.taken === this.rev.durable;
  }

  committed(seq: number, rev: number): void {
    this.seq.durable = seq;
    this.rev.durable = rev;
  }

  /** The Ack to send now, if any: of new ground, or of the old one again, to ask for a rewind. */
  ack(now: number): Position | undefined {
    const position: Position = [this.seq.durable, this.rev.durable];
    if (position[0] !== this.acked[0] || position[1] !== this.acked[1]) {
      this.acked = position;
      return position;
    }
    if (this.rewind && this.settled && now >= this.rewindAt) {
      this.rewind = false;
      this.rewindAt = now + REWIND_INTERVAL_MS;
      return position;
    }
    return undefined;
  }

  /** When `ack` may have something although nothing happens. */
  timeout(): number | undefined {
    return this.rewind && this.settled ? this.rewindAt : undefined;
  }
}
