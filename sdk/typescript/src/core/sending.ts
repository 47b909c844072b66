/**
 * The sender's side of the Send rules for one conversation: stream, numbers, window, answers.
 *
 * Owns: which message of the outbox has which number, what is unanswered, what must be sent (again) now. Must not know:
 * payloads, connections, the clock. It keeps these invariants:
 *
 * - Numbers survive the process: a message's number is `base` plus its place in the outbox, and the profile holds both. So a
 *   restart repeats the same numbers.
 * - A message that may have an outcome at the server is within the last `window` numbers until its answer is *durable* here.
 *   The server keeps that many outcomes, so a repeat after a crash finds its outcome. Hence the window moves on commit.
 * - A new stream is durable before anything is sent under it, so a crash never brings a number back under another id.
 */

import type { Id } from "./frames.js";

export type Answer = "none" | "received" | "durable"; // received: not yet durable here, still counts for the window

/** A message of the outbox. */
export class Entry {
  answer: Answer = "none";
  sentAt: number | undefined = undefined; // on this connection; undefined: must be sent

  constructor(readonly messageId: Id) {}
}

const GAP_PATIENCE_MS = 1000; // one lost frame makes a gap answer for each one behind it: only the first starts a repeat

export interface OutboundStart {
  stream?: number;
  base?: number;
  lastAt?: number;
}

/** One conversation's outbox. */
export class Outbound {
  stream: number;
  lastAt: number; // the highest `at` seen in this conversation, ms
  pausedUntil = 0; // the server asked to wait, ms
  private base: number; // the number of entries[0]: the lowest one without a durable answer
  private readonly entries: Entry[] = []; // numbered; at most `window` of them
  private queue: Entry[] = []; // not yet; from `head` on
  private head = 0;
  private open = true; // the stream is durable
  private opening = false; // ... or is being made so
  private hole = false; // a refusal that may not have spent its number
  private gapQuietUntil = 0;

  constructor(
    readonly conversation: Id,
    private window: number,
    start: OutboundStart = {},
  ) {
    this.stream = start.stream ?? 1;
    this.base = start.base ?? 1;
    this.lastAt = start.lastAt ?? 0;
  }

  /** The next row of the outbox. An answered one is still there to keep the places of those behind it. */
  add(messageId: Id, answered = false): void {
    const entry = new Entry(messageId);
    if (answered) entry.answer = "durable";
    this.queue.push(entry);
  }

  /** Every number up to this one has been answered. */
  get answered(): number {
    return this.base - 1;
  }

  /** Nothing queued, nothing numbered. */
  get idle(): boolean {
    return this.queue.length === this.head && this.entries.length === 0;
  }

  /** Something numbered has no answer. */
  get waiting(): boolean {
    return this.entries.some((entry) => entry.answer === "none");
  }

  /** The stream to make durable now, if one is wanted; then `streamDurable`. Nothing is sent in between. */
  newStreamWanted(): number | undefined {
    if (this.hole && !this.waiting) this.newStream(this.stream);
    if (this.open || this.opening) return undefined;
    this.opening = true;
    return this.stream;
  }

  streamDurable(stream: number): void {
    if (stream === this.stream && this.opening) {
      this.open = true;
      this.opening = false;
    }
  }

  /** A new connection: everything unanswered is sent again, in order. */
  reconnected(window: number): void {
    this.window = window;
    for (const entry of this.entries) entry.sentAt = undefined;
    this.pausedUntil = 0;
    this.gapQuietUntil = 0;
  }

  /** At most `most` messages to send now, in order of their numbers; they count as sent. */
  due(now: number, repeatMs: number, most: number): [number, Entry][] {
    if (!this.open || now < this.pausedUntil) return [];
    while (this.head < this.queue.length && this.entries.length < this.window && !this.hole) {
      const entry = this.dequeue();
      if (entry === undefined) break;
      this.entries.push(entry);
      this.durable();
    }
    const found: [number, Entry][] = [];
    for (const [place, entry] of this.entries.entries()) {
      if (found.length >= most) break;
      if (this.isDue(entry, now, repeatMs)) {
        entry.sentAt = now;
        found.push([this.base + place, entry]);
      }
    }
    return found;
  }

  /** Whether `due` would find something. */
  hasDue(now: number, repeatMs: number): boolean {
    if (!this.open || now < this.pausedUntil) return false;
    if (this.head < this.queue.length && this.entries.length < this.window && !this.hole) return true;
    return this.entries.some((entry) => this.isDue(entry, now, repeatMs));
  }

  /** The unanswered message that an answer speaks of; undefined for answers of the past. */
  find(stream: number, number: number, messageId: Id): Entry | undefined {
    if (stream !== this.stream || !this.open) return undefined;
    const entry = this.entries[number - this.base];
    return entry?.messageId === messageId && entry.answer === "none" ? entry : undefined;
  }

  /** Answers became durable: the window moves past them. */
  durable(): void {
    while (this.entries[0]?.answer === "durable") {
      this.entries.shift();
      this.base += 1;
    }
  }

  /** A final refusal that wrote nothing: its number is still free at the server, so this stream ends here. */
  refusedWithoutNumber(): void {
    this.hole = true;
  }

  /** STREAM_STALE. */
  stale(current: number): void {
    this.newStream(current);
  }

  /** SEQUENCE_GAP: send from `expected` on. */
  gap(expected: number, now: number): void {
    if (this.hole && expected < this.base + this.entries.length) {
      this.newStream(this.stream); // the server waits for the number that a refusal left free
      return;
    }
    if (now < Math.max(this.gapQuietUntil, this.pausedUntil)) return;
    const first = this.entries.findIndex((entry) => entry.answer === "none");
    if (first < 0 || expected < this.base + first) return;
    this.gapQuietUntil = now + GAP_PATIENCE_MS;
    for (const [place, entry] of this.entries.entries()) {
      if (this.base + place >= expected) entry.sentAt = undefined;
    }
  }

  /** The server asked to wait: then everything unanswered goes again, in order. */
  pause(now: number, waitMs: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, now + waitMs);
    for (const entry of this.entries) entry.sentAt = undefined;
  }

  private isDue(entry: Entry, now: number, repeatMs: number): boolean {
    return entry.answer === "none" && (entry.sentAt === undefined || now - entry.sentAt >= repeatMs);
  }

  private dequeue(): Entry | undefined {
    const entry = this.queue[this.head++];
    if (this.head > 1024 && 2 * this.head > this.queue.length) {
      this.queue = this.queue.slice(this.head); // seldom, so that a long queue costs no more than its length
      this.head = 0;
    }
    return entry;
  }

  /** Leave this stream for one above `floor`; unanswered messages come first again, with their ids. */
  private newStream(floor: number): void {
    this.stream = Math.max(this.stream, floor) + 1;
    const unanswered = (entry: Entry) => entry.answer === "none";
    const left = this.entries.filter(unanswered).map((entry) => new Entry(entry.messageId));
    this.queue = [...left, ...this.queue.slice(this.head).filter(unanswered)];
    this.head = 0;
    this.entries.length = 0;
    this.base = 1;
    this.open = this.opening = this.hole = false;
    this.gapQuietUntil = 0;
  }
}
