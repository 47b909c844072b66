/**
 * ClientCore: everything a client decides, without I/O, clock or chance. The twin of src/iris_sdk/core/client.py; both pass
 * the scenarios in sdk/scenarios.
 *
 * Inputs are method calls with `now` (ms of any clock that never goes back) and, where a delay is chosen, `jitter`
 * (0 <= jitter < 1, by chance). Outputs are effects, polled with `poll()` until it gives undefined after every input;
 * `nextTimeout()` says when `tick()` is due at the latest. The profile's rows come in as `Saved` and `queued()`; what changes
 * goes out in a commit.
 */

import type { Limits } from "../catalogue.js";
import type { Effect } from "./effects.js";
import * as f from "./frames.js";
import { Ledger } from "./ledger.js";
import { connected, type Input, inSession, type State, TABLE } from "./lifecycle.js";
import { reconnectOf, rowsBetween } from "./numbers.js";
import { Outbox, RETRY_MS } from "./outbox.js";
import { Inbox } from "./receiving.js";
import { ReadRequests, TypingTable } from "./signals.js";

const QUIET_MS = 1000; // so long without a row after Welcome, and catching up is over even below `head`
const EXPIRE_SCAN_MS = 3_600_000;
const DAY_MS = 86_400_000;
const BACKOFF_DOUBLINGS_MAX = 20;
const CLOSE_NORMAL = 1000;
const TOKEN_INVALID = 4510;
const TOKEN_REVOKED = 4511;
const REPLACED = 4512;
const REPLACED_AGAIN_MS = 60_000; // replaced twice within so long: there is another copy of this device

/** What the profile holds about a conversation. */
export interface SavedConversation {
  conversation: f.Id;
  stream: number;
  base: number; // the number of the first row of its outbox
  last_at: number;
  read_wanted: number; // above the confirmed read position: ask the server
  read: number;
}

/** What the profile holds when a core starts. */
export interface Saved {
  user: f.Id;
  device: number;
  seq: number;
  rev: number;
  conversations: readonly SavedConversation[];
}

/** One device. See the module's text for how to drive it. */
export class ClientCore {
  state: State = "offline";
  closedReason = "";
  payloadBytesMax: number;
  watchesMax: number;
  /** Rows that have come since Welcome, and how many there are at most; total is 0 when numbers do not tell. */
  catchUp = { done: 0, total: 0 };
  private readonly effects: Effect[] = [];
  private readonly ledger: Ledger;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly reads = new ReadRequests();
  private readonly typing: TypingTable;
  private watched: readonly f.Id[] = [];
  private accessToken = "";
  private tokenFresh = false; // the next one must be new
  private askingToken = false;
  private triedFreshToken = false; // since the last Welcome
  private replacedAt: number | undefined;
  private refreshAt: number | undefined;
  private attempts = 0;
  private retryAt: number | undefined;
  private goAwayMs: number | undefined;
  private welcomeAt = 0;
  private serverAheadMs = 0; // server clock minus ours
  private head = 0;
  private headRev = 0;
  private quietAt = 0;
  private expireAt: number | undefined;
  private helloDue = false;
  private watchAt: number | undefined;

  constructor(
    private readonly saved: Saved,
    private readonly limits: Limits,
    private readonly clientName = "",
  ) {
    this.payloadBytesMax = limits.payload_bytes_max;
    this.watchesMax = limits.watches_max;
    this.ledger = new Ledger(saved.seq, saved.rev);
    this.inbox = new Inbox(saved.seq, saved.rev);
    this.outbox = new Outbox(
      this.effects,
      this.ledger,
      limits.sends_per_second_max,
      limits.send_window,
      limits.send_repeat_ms,
    );
    this.typing = new TypingTable(limits.typing_ms);
    for (const one of saved.conversations) {
      this.outbox.restore(one.conversation, one.stream, one.base, one.last_at);
      if (one.read_wanted > one.read) this.reads.want(one.conversation, one.read_wanted);
    }
  }

  // --- inputs from the application ---

  /** Connect, and stay connected. */
  start(): void {
    if (this.state === "offline" || this.state === "waiting") {
      this.retryAt = undefined;
      this.attempts = 0;
      this.askToken("start");
    }
  }

  /** Close the connection and stay offline. Commits still have to be confirmed. */
  stop(): void {
    if (connected(this.state)) this.effects.push({ close_connection: { code: CLOSE_NORMAL } });
    this.sessionOver();
    this.retryAt = undefined;
    this.enter("stop");
  }

  /** (conversation, message id, answered) of new rows of the outbox, in its order; they are durable. Every row comes once. */
  queued(messages: Iterable<readonly [f.Id, f.Id, boolean]>, now: number): void {
    this.outbox.add(messages);
    this.outbox.pump(now);
  }

  /** Tell the server that the user has read up to `seq`, again until it shows; the wish is durable. */
  wantRead(conversation: f.Id, seq: number, now: number): void {
    if (this.reads.want(conversation, seq)) this.pumpReads(now);
  }

  /** Ephemeral: dropped when there is no session. */
  setTyping(conversation: f.Id, active: boolean): void {
    if (inSession(this.state)) this.frame({ typing: { conversation, active } });
  }

  /** The users whose presence is on screen; replaces the earlier set and is kept over reconnects. */
  watch(users: Iterable<f.Id>): void {
    const watched = [...new Set(users)];
    if (watched.length > this.watchesMax) throw new RangeError(`more than ${this.watchesMax} watched users`);
    this.watched = watched;
    if (inSession(this.state)) this.frame({ watch: { users: watched } });
  }

  // --- inputs from the shell ---

  /** The access token that need_token asked for. */
  token(token: string): void {
    this.askingToken = false;
    this.accessToken = token;
    this.tokenFresh = false;
    if (this.state === "authorising") {
      this.enter("token");
      this.effects.push({ connect: { hello: this.settled ? this.hello() : null } });
    } else if (inSession(this.state)) {
      this.enter("token");
      this.frame({ refresh: { token } });
    }
  }

  /** No token just now (the API cannot be reached or is busy). */
  tokenUnavailable(now: number, jitter: number): void {
    this.askingToken = false;
    if (this.state === "authorising") this.wait(now, jitter, "");
    else if (inSession(this.state)) {
      this.refreshAt = now + RETRY_MS + Math.trunc(jitter * this.limits.reconnect_max_ms);
    }
  }

  /** The API gives this device no token any more. */
  loggedOut(): void {
    this.askingToken = false;
    if (inSession(this.state)) {
      this.effects.push({ close_connection: { code: CLOSE_NORMAL } });
      this.sessionOver();
    }
    if (TABLE[this.state].logged_out !== undefined) this.enter("logged_out", "TOKEN_REVOKED");
  }

  /** The WebSocket is open. `greeted`: the server has taken the Hello of `connect`. */
  opened(greeted: boolean): void {
    if (this.state !== "connecting") return;
    this.enter("opened");
    this.helloDue = !greeted;
    this.maybeHello();
  }

  /** The connection could not be opened, or is gone; `code` is its close code, undefined when there was none. */
  lost(code: number | undefined, now: number, jitter: number): void {
    if (!connected(this.state)) return;
    let [reconnect, reason] = reconnectOf(code);
    const steady = reconnect === "yes" || now - this.welcomeAt >= this.limits.reconnect_max_ms;
    if (inSession(this.state) && steady) this.attempts = 0;
    this.sessionOver();
    if ((code === TOKEN_REVOKED || code === TOKEN_INVALID) && !this.triedFreshToken) {
      // Perhaps only the old tokens (revoked, of a key or clock that was wrong): a fresh one tells.
      this.triedFreshToken = true;
      reconnect = "after_refresh";
    }
    if (code === REPLACED) {
      // Perhaps by a connection of our own, given up and arrived late.
      const again = this.replacedAt !== undefined && now - this.replacedAt < REPLACED_AGAIN_MS;
      this.replacedAt = now;
      reconnect = again ? "no" : "backoff";
    }
    if (reconnect === "no") {
      this.enter("lost_for_good", reason);
      return;
    }
    if (reconnect === "after_refresh") this.tokenFresh = true;
    this.wait(now, jitter, reason);
  }

  /** The commit of this number is on the disk. */
  committed(number: number, now: number): void {
    const batch = this.ledger.committed(number);
    this.inbox.committed(batch.cursor[0], batch.cursor[1]);
    this.outbox.committed(batch);
    this.maybeHello();
    this.ack(now);
    this.caughtUp(now);
    this.outbox.pump(now);
  }

  /** A frame from the server. Unknown frames are ignored. */
  receive(frame: f.ServerFrame, now: number): void {
    if (this.state === "greeting") {
      if ("welcome" in frame && !this.helloDue) this.welcome(frame.welcome, now);
    } else if (inSession(this.state)) {
      this.inSessionFrame(frame, now);
    }
  }

  /** Time has passed. */
  tick(now: number, _jitter: number): void {
    if (this.retryAt !== undefined && now >= this.retryAt && this.state === "waiting") {
      this.retryAt = undefined;
      this.askToken("retry_due");
    }
    for (const [conversation, sender] of this.typing.expired(now)) this.typingSeen(conversation, sender, false);
    if (!inSession(this.state)) return;
    if (this.refreshAt !== undefined && now >= this.refreshAt && !this.askingToken) {
      this.refreshAt = undefined;
      this.askingToken = true;
      this.effects.push({ need_token: { fresh: true } });
    }
    if (this.expireAt !== undefined && now >= this.expireAt) {
      this.expireAt = now + EXPIRE_SCAN_MS;
      const serverNow = now + this.serverAheadMs;
      this.ledger.write({ expire: { before_at: serverNow - this.limits.message_days * DAY_MS } });
    }
    if (this.watchAt !== undefined && now >= this.watchAt) {
      this.watchAt = undefined;
      this.frame({ watch: { users: this.watched } });
    }
    this.ack(now);
    this.caughtUp(now);
    this.outbox.tick(now);
    this.pumpReads(now);
  }

  // --- outputs ---

  /** The next effect; undefined when there is none. A commit comes last, so that it holds all that has been received. */
  poll(): Effect | undefined {
    const effect = this.effects.shift();
    if (effect !== undefined) return effect;
    const commit = this.ledger.commit(this.inbox.seq.taken, this.inbox.rev.taken);
    return commit === undefined ? undefined : { commit };
  }

  /** Writes that wait for the next commit; a shell stops reading when it is long. */
  get backlog(): number {
    return this.ledger.backlog;
  }

  /** Conversations with messages that are not answered. */
  get unanswered(): number {
    return this.outbox.unanswered;
  }

  /** When `tick` is due, ms; undefined: not before another input. */
  nextTimeout(): number | undefined {
    const times = [this.retryAt, this.typing.nextTimeout()];
    if (inSession(this.state)) {
      times.push(this.refreshAt, this.expireAt, this.watchAt, this.inbox.timeout());
      times.push(this.reads.nextTimeout(this.outbox.repeatMs), this.outbox.nextTimeout());
      // Until the disk is ready nothing is due: the end of the commit looks.
      if (this.state === "catching_up" && this.inbox.settled) times.push(this.quietAt);
    }
    const due = times.filter((time) => time !== undefined);
    return due.length > 0 ? Math.min(...due) : undefined;
  }

  // --- connection ---

  private enter(input: Input, reason = ""): void {
    const state = TABLE[this.state][input];
    if (state === undefined) throw new Error(`no ${input} in ${this.state}`);
    if (state === this.state) return;
    this.state = state;
    if (state === "closed") this.closedReason = reason;
    this.effects.push({ state: { state, reason } });
  }

  private askToken(input: Input): void {
    this.enter(input);
    if (!this.askingToken) {
      this.askingToken = true;
      this.effects.push({ need_token: { fresh: this.tokenFresh } });
    }
  }

  private wait(now: number, jitter: number, reason: string): void {
    const doublings = Math.min(this.attempts, BACKOFF_DOUBLINGS_MAX);
    let ceiling = Math.min(this.limits.reconnect_max_ms, this.limits.reconnect_first_ms * 2 ** doublings);
    if (this.goAwayMs !== undefined) {
      ceiling = this.goAwayMs;
      this.goAwayMs = undefined;
    }
    this.attempts += 1;
    this.retryAt = now + Math.trunc(ceiling * jitter);
    this.enter("lost", reason);
  }

  /** Hello names what is durable; an Ack above it would be unknown to the new session. So it waits for the commit. */
  private maybeHello(): void {
    if (this.state !== "greeting" || !this.helloDue || !this.settled) return;
    this.helloDue = false;
    this.frame({ hello: this.hello() });
  }

  /** Everything taken is durable. While there is no session nothing more is taken, so it stays true. */
  private get settled(): boolean {
    return !this.ledger.busy && this.inbox.settled;
  }

  private hello(): f.Hello {
    const [seq, rev] = this.inbox.hello();
    return { token: this.accessToken, seq, rev, client: this.clientName };
  }

  private welcome(welcome: f.Welcome, now: number): void {
    if (welcome.user !== this.saved.user || welcome.device !== this.saved.device) {
      this.effects.push({ close_connection: { code: CLOSE_NORMAL } });
      this.sessionOver();
      this.enter("lost_for_good", "TOKEN_INVALID");
      return;
    }
    this.enter("welcome");
    const told = welcome.limits;
    this.payloadBytesMax = told.payload_bytes_max || this.limits.payload_bytes_max;
    this.outbox.repeatMs = told.send_repeat_ms || this.limits.send_repeat_ms;
    this.watchesMax = told.watches_max || this.limits.watches_max;
    if (told.send_window) this.outbox.window = Math.min(told.send_window, this.limits.send_window);
    this.welcomeAt = now;
    this.serverAheadMs = welcome.time - now;
    this.head = welcome.head;
    this.headRev = welcome.head_rev;
    this.quietAt = now + QUIET_MS;
    this.tokenEnds(welcome.token_expires_at, now);
    let seq = this.inbox.seq.taken;
    let rev = this.inbox.rev.taken;
    if (welcome.reset) {
      // Only what is above: the other one is known there, and jumping ahead would skip rows.
      seq = Math.min(seq, welcome.head);
      rev = Math.min(rev, welcome.head_rev);
    }
    if (welcome.oldest) {
      seq = Math.max(seq, welcome.oldest - 1);
      this.ledger.write({ save_gap: { at: welcome.time } });
    }
    this.inbox.jump(seq, rev);
    this.catchUp = { done: 0, total: rowsBetween(seq, welcome.head) };
    this.triedFreshToken = false;
    if (this.watched.length > 0) this.frame({ watch: { users: this.watched.slice(0, this.watchesMax) } });
    this.outbox.sessionBegan();
    this.reads.reconnected();
    this.caughtUp(now);
    this.outbox.pump(now);
    this.pumpReads(now);
  }

  /** Refresh when three quarters of the token's time are over. */
  private tokenEnds(expiresAt: number, now: number): void {
    const leftMs = expiresAt - this.serverAheadMs - now;
    this.refreshAt = expiresAt ? now + Math.max(RETRY_MS, Math.floor((leftMs * 3) / 4)) : undefined;
  }

  private sessionOver(): void {
    this.helloDue = false;
    this.refreshAt = this.expireAt = this.watchAt = undefined;
    this.outbox.sessionOver();
    for (const [conversation, sender] of this.typing.clear()) this.typingSeen(conversation, sender, false);
  }

  private caughtUp(now: number): void {
    if (this.state !== "catching_up" || !this.inbox.settled) return;
    const complete = this.inbox.seq.taken >= this.head && this.inbox.rev.taken >= this.headRev;
    if (complete || now >= this.quietAt) {
      this.enter("caught_up");
      if (complete) this.expireAt = now;
    }
  }

  private frame(frame: f.ClientFrame): void {
    this.effects.push({ send_frame: frame });
  }

  private typingSeen(conversation: f.Id, sender: f.Id, active: boolean): void {
    this.effects.push({ typing_seen: { conversation, sender, active } });
  }

  // --- receiving ---

  private inSessionFrame(frame: f.ServerFrame, now: number): void {
    if ("accepted" in frame) this.outbox.onAccepted(frame.accepted);
    else if ("rejected" in frame) this.outbox.onRejected(frame.rejected, now);
    else if ("deliver" in frame) this.onDeliver(frame.deliver, now);
    else if ("receipt" in frame) this.onReceipt(frame.receipt, now);
    else if ("read_sync" in frame) this.onReadSync(frame.read_sync, now);
    else if ("presence" in frame) this.effects.push({ presence_seen: frame.presence });
    else if ("typing" in frame) this.onTyping(frame.typing, now);
    else if ("go_away" in frame) this.goAwayMs = frame.go_away.within_ms;
    else if ("refreshed" in frame) this.tokenEnds(frame.refreshed.token_expires_at, now);
    else if ("problem" in frame) this.onProblem(frame.problem, now);
  }

  private ack(now: number): void {
    if (!inSession(this.state)) return;
    const position = this.inbox.ack(now);
    if (position !== undefined) this.frame({ ack: { seq: position[0], rev: position[1] } });
  }

  private took(taken: boolean, now: number): boolean {
    this.quietAt = now + QUIET_MS;
    if (taken) {
      this.inbox.bridged();
    } else {
      this.inbox.dropped();
      this.ack(now);
    }
    return taken;
  }

  private onDeliver(row: f.Deliver, now: number): void {
    if (!this.took(this.inbox.seq.take(row.prev, row.seq), now)) return;
    const done = this.catchUp.done + 1;
    const left = rowsBetween(row.seq, this.head);
    this.catchUp = { done, total: left === 0 && row.seq < this.head ? 0 : done + left };
    if (row.kind !== f.KIND_MESSAGE && row.kind !== f.KIND_OWN_COPY) return; // of a later version: nothing to show
    this.outbox.seen(row.conversation, row.at);
    const own = row.kind === f.KIND_OWN_COPY;
    if (!own && this.typing.stopped(row.conversation, row.sender)) {
      this.typingSeen(row.conversation, row.sender, false);
    }
    const { conversation, sender, device, message_id, seq, peer_seq, at, payload, content_type, alg } = row;
    this.ledger.write({
      save_message: { own, conversation, sender, device, message_id, seq, peer_seq, at, payload, content_type, alg },
    });
  }

  private onReceipt(receipt: f.Receipt, now: number): void {
    if (!this.took(this.inbox.rev.take(receipt.prev_rev, receipt.rev), now)) return;
    const { conversation, delivered, read } = receipt;
    this.ledger.write({ save_receipt: { conversation, delivered, read } });
  }

  private onReadSync(sync: f.ReadSync, now: number): void {
    if (!this.took(this.inbox.rev.take(sync.prev_rev, sync.rev), now)) return;
    this.ledger.write({ save_read: { conversation: sync.conversation, seq: sync.seq } });
    this.reads.shown(sync.conversation, sync.seq);
    this.pumpReads(now);
  }

  private onTyping(typing: f.Typing, now: number): void {
    if (this.typing.seen(typing.conversation, typing.sender, typing.active, now)) {
      this.typingSeen(typing.conversation, typing.sender, typing.active);
    }
  }

  private onProblem(problem: f.Problem, now: number): void {
    const waitMs = problem.retry_after_ms || RETRY_MS;
    if (problem.frame === f.READ_FRAME) {
      if (problem.retry === f.RETRY_AFTER) {
        this.reads.pause(now, waitMs);
      } else {
        for (const conversation of this.reads.refused()) this.ledger.write({ drop_read_wanted: { conversation } });
      }
    } else if (problem.frame === f.REFRESH_FRAME) {
      this.refreshAt = now + waitMs;
    } else if (problem.frame === f.WATCH_FRAME && problem.retry === f.RETRY_AFTER) {
      this.watchAt = now + waitMs;
    }
  }

  private pumpReads(now: number): void {
    if (!inSession(this.state)) return;
    for (const [conversation, seq] of this.reads.due(now, this.outbox.repeatMs)) {
      this.frame({ read: { conversation, seq } });
    }
  }
}
