/** Small registers and timers beside the messages: read positions that must reach the server, who is typing. */

import type { Id } from "./frames.js";

const READS_SHOWN_MAX = 1024; // conversations whose shown position is remembered; above it the one shown longest ago goes
const READS_IN_FLIGHT_MAX = 32; // below the server's allowance for signals, also after a long time offline
const TYPING_ROWS_MAX = 1024; // a row ends by itself; above this new ones are not shown

/** Read positions that the server has not shown yet. Each is asked for again until it does. */
export class ReadRequests {
  private readonly wanted = new Map<Id, number>();
  private readonly sent = new Map<Id, number>(); // when, on this connection
  // A wish may come after the register has shown it, until that is stored. The server has no answer to such a one.
  private readonly shownAt = new Map<Id, number>();
  private pausedUntil = 0;

  /** Returns whether that is news. */
  want(conversation: Id, seq: number): boolean {
    if (seq <= Math.max(this.wanted.get(conversation) ?? 0, this.shownAt.get(conversation) ?? 0)) return false;
    this.wanted.set(conversation, seq);
    this.sent.delete(conversation);
    return true;
  }

  /** The server's register is at `seq`. */
  shown(conversation: Id, seq: number): void {
    this.shownAt.delete(conversation);
    this.shownAt.set(conversation, seq);
    for (const oldest of this.shownAt.keys()) {
      if (this.shownAt.size <= READS_SHOWN_MAX) break;
      this.shownAt.delete(oldest);
    }
    if ((this.wanted.get(conversation) ?? 0) <= seq) {
      this.wanted.delete(conversation);
      this.sent.delete(conversation);
    }
  }

  /** The server does not take one of those asked for; it does not say which. Forget them all. */
  refused(): Id[] {
    const gone = [...this.sent.keys()];
    for (const conversation of gone) this.wanted.delete(conversation);
    this.sent.clear();
    return gone;
  }

  pause(now: number, waitMs: number): void {
    this.pausedUntil = now + waitMs;
    this.sent.clear();
  }

  reconnected(): void {
    this.pausedUntil = 0;
    this.sent.clear();
    this.shownAt.clear(); // the server may have been set back
  }

  /** What to ask for now; it counts as asked. */
  due(now: number, repeatMs: number): [Id, number][] {
    if (now < this.pausedUntil) return [];
    const found: [Id, number][] = [];
    for (const [conversation, at] of this.sent) {
      if (now - at >= repeatMs) found.push([conversation, this.wanted.get(conversation) ?? 0]);
    }
    for (const [conversation, seq] of this.wanted) {
      if (this.sent.size + found.length >= READS_IN_FLIGHT_MAX) break;
      if (!this.sent.has(conversation)) found.push([conversation, seq]);
    }
    for (const [conversation] of found) this.sent.set(conversation, now);
    return found;
  }

  nextTimeout(repeatMs: number): number | undefined {
    if (this.wanted.size === 0) return undefined;
    if (this.sent.size === 0) return this.pausedUntil;
    return Math.max(this.pausedUntil, Math.min(...this.sent.values()) + repeatMs);
  }
}

/** Who is typing where. An entry ends by itself when it is not repeated. */
export class TypingTable {
  private readonly until = new Map<string, [conversation: Id, sender: Id, until: number]>();

  constructor(private readonly typingMs: number) {}

  /** Returns whether that changes what is shown. */
  seen(conversation: Id, sender: Id, active: boolean, now: number): boolean {
    const key = `${conversation}/${sender}`;
    if (!active) return this.until.delete(key);
    const known = this.until.has(key);
    if (!known && this.until.size >= TYPING_ROWS_MAX) return false;
    this.until.set(key, [conversation, sender, now + this.typingMs]);
    return !known;
  }

  /** A message came. Returns whether that changes what is shown. */
  stopped(conversation: Id, sender: Id): boolean {
    return this.until.delete(`${conversation}/${sender}`);
  }

  /** Those whose time is over; they are gone. */
  expired(now: number): [Id, Id][] {
    const over: [Id, Id][] = [];
    for (const [key, [conversation, sender, until]] of this.until) {
      if (now >= until) {
        this.until.delete(key);
        over.push([conversation, sender]);
      }
    }
    return over;
  }

  /** The connection is gone: nobody is typing as far as we know. */
  clear(): [Id, Id][] {
    const all = [...this.until.values()].map(([conversation, sender]): [Id, Id] => [conversation, sender]);
    this.until.clear();
    return all;
  }

  nextTimeout(): number | undefined {
    if (this.until.size === 0) return undefined;
    return Math.min(...[...this.until.values()].map(([, , until]) => until));
  }
}
