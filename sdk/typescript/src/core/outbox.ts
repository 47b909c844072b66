/**
 * All conversations' outboxes: who may send next, how fast, and what the server's answers mean.
 *
 * The rules of one conversation are in sending.ts. Here: conversations take turns, the server's allowance of Sends is kept,
 * unanswered messages are looked at again from time to time, and nothing is sent outside a session.
 */

import { ERRORS } from "../catalogue.js";
import type { Effect } from "./effects.js";
import { type Accepted, type Id, RETRY_GAP, RETRY_NEVER, RETRY_NEW_STREAM, type Rejected } from "./frames.js";
import type { Batch, Ledger } from "./ledger.js";
import { type Entry, Outbound } from "./sending.js";

const SCAN_MS = 1000; // how often unanswered messages are looked at for a repeat
export const RETRY_MS = 1000; // where the server names no time
const SEND_SHARE = 0.9; // of sends_per_second_max: the rest is for clocks that differ

/** The sending half of a ClientCore. `repeatMs` and `window` may change with each session. */
export class Outbox {
  private readonly outbounds = new Map<Id, Outbound>();
  private ready = new Set<Id>(); // to look at for sending, in turn
  private readonly unansweredNow = new Set<Id>();
  private up = false; // there is a session
  private scanAt = 0;
  private readonly rate: number; // per ms
  private allowance: number;
  private readonly allowanceMax: number;
  private allowanceAt = 0;
  private wakeAt: number | undefined; // the allowance is back, or a pause that the server asked for is over

  constructor(
    private readonly effects: Effect[],
    private readonly ledger: Ledger,
    sendsPerSecond: number,
    public window: number,
    public repeatMs: number,
  ) {
    this.rate = (sendsPerSecond * SEND_SHARE) / 1000;
    this.allowance = this.allowanceMax = sendsPerSecond;
  }

  /** What the profile holds of a conversation. */
  restore(conversation: Id, stream: number, base: number, lastAt: number): void {
    this.outbounds.set(conversation, new Outbound(conversation, this.window, { stream, base, lastAt }));
  }

  /** The outbox's next messages, in its order. */
  add(messages: Iterable<readonly [conversation: Id, messageId: Id, answered: boolean]>): void {
    for (const [conversation, messageId, answered] of messages) {
      this.outbound(conversation).add(messageId, answered);
      this.ready.add(conversation);
    }
  }

  /** A message of this conversation has this `at`. */
  seen(conversation: Id, at: number): void {
    const outbound = this.outbound(conversation);
    outbound.lastAt = Math.max(outbound.lastAt, at);
  }

  /** Conversations with messages that are not answered. */
  get unanswered(): number {
    let count = 0;
    for (const outbound of this.outbounds.values()) if (!outbound.idle) count += 1;
    return count;
  }

  sessionBegan(): void {
    this.up = true;
    for (const outbound of this.outbounds.values()) {
      if (!outbound.idle) {
        outbound.reconnected(this.window);
        this.ready.add(outbound.conversation);
      }
    }
  }

  sessionOver(): void {
    this.up = false;
    this.wakeAt = undefined;
    this.ready.clear();
  }

  nextTimeout(): number | undefined {
    const scan = this.unansweredNow.size > 0 ? this.scanAt : undefined;
    if (this.wakeAt === undefined || scan === undefined) return this.wakeAt ?? scan;
    return Math.min(this.wakeAt, scan);
  }

  tick(now: number): void {
    if (now >= this.scanAt) {
      this.scanAt = now + SCAN_MS;
      for (const conversation of this.unansweredNow) this.ready.add(conversation);
    }
    this.pump(now);
  }

  /** Answers and streams became durable: windows move. */
  committed(batch: Batch): void {
    for (const [outbound, entry] of batch.answers) {
      entry.answer = "durable";
      this.ready.add(outbound.conversation);
    }
    for (const [outbound] of batch.answers) outbound.durable();
    for (const [outbound, stream] of batch.streams) {
      outbound.streamDurable(stream);
      this.ready.add(outbound.conversation);
    }
  }

  /** Open streams and send what is due, conversations in turn, no faster than the server's allowance. */
  pump(now: number): void {
    if (!this.up) return;
    this.allowance = Math.min(this.allowanceMax, this.allowance + (now - this.allowanceAt) * this.rate);
    this.allowanceAt = now;
    this.wakeAt = undefined;
    const waiting: Outbound[] = [];
    for (const conversation of this.ready) {
      if (this.wakeAt !== undefined) break;
      this.ready.delete(conversation);
      const outbound = this.outbound(conversation);
      const stream = outbound.newStreamWanted();
      if (stream !== undefined) this.ledger.stream(outbound, stream);
      if (now < outbound.pausedUntil) {
        waiting.push(outbound);
      } else if (this.sendDue(outbound, now)) {
        waiting.push(outbound);
        this.wakeAt = now + Math.max(1, Math.trunc(1 / this.rate));
      }
    }
    for (const outbound of waiting) {
      this.ready.add(outbound.conversation); // at the end: others had no turn yet
      if (outbound.pausedUntil > now) this.wakeAt = Math.min(this.wakeAt ?? Infinity, outbound.pausedUntil);
    }
  }

  onAccepted(answer: Accepted): void {
    const outbound = this.outbound(answer.conversation);
    const entry = outbound.find(answer.stream, answer.client_seq, answer.message_id);
    if (entry === undefined) return;
    outbound.lastAt = Math.max(outbound.lastAt, answer.at);
    this.answered(outbound, entry, answer.seq, answer.at, 0);
  }

  onRejected(answer: Rejected, now: number): void {
    const outbound = this.outbound(answer.conversation);
    const entry = outbound.find(answer.stream, answer.client_seq, answer.message_id);
    if (entry === undefined) return;
    if (answer.retry === RETRY_NEW_STREAM) {
      outbound.stale(answer.current_stream);
    } else if (answer.retry === RETRY_GAP) {
      outbound.gap(answer.expected, now);
    } else if (answer.retry === RETRY_NEVER) {
      this.answered(outbound, entry, 0, 0, answer.code);
      // A code of a later version: a new stream is right either way.
      if (ERRORS.get(answer.code)?.outcome !== true) outbound.refusedWithoutNumber();
    } else {
      outbound.pause(now, answer.retry_after_ms || RETRY_MS);
    }
    this.ready.add(outbound.conversation);
    this.pump(now);
  }

  /** Returns whether the allowance ended before the conversation did. */
  private sendDue(outbound: Outbound, now: number): boolean {
    for (const [number, entry] of outbound.due(now, this.repeatMs, Math.trunc(this.allowance))) {
      this.allowance -= 1;
      this.effects.push({
        send_message: {
          conversation: outbound.conversation,
          stream: outbound.stream,
          client_seq: number,
          answered: outbound.answered,
          message_id: entry.messageId,
          after: outbound.lastAt,
        },
      });
    }
    if (!outbound.waiting) {
      this.unansweredNow.delete(outbound.conversation);
    } else {
      if (this.unansweredNow.size === 0) this.scanAt = now + SCAN_MS;
      this.unansweredNow.add(outbound.conversation);
    }
    return this.allowance < 1 && outbound.hasDue(now, this.repeatMs);
  }

  private answered(outbound: Outbound, entry: Entry, seq: number, at: number, code: number): void {
    entry.answer = "received";
    const { conversation } = outbound;
    this.ledger.answer(outbound, entry, {
      save_answer: { message_id: entry.messageId, conversation, seq, at, code },
    });
    if (!outbound.waiting) this.unansweredNow.delete(conversation);
  }

  private outbound(conversation: Id): Outbound {
    let outbound = this.outbounds.get(conversation);
    if (outbound === undefined) {
      outbound = new Outbound(conversation, this.window);
      this.outbounds.set(conversation, outbound);
    }
    return outbound;
  }
}
