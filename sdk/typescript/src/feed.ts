/** Tells listeners what has changed in the profile, by whichever tab, in order and once. */

import type { Id } from "./core/frames.js";
import { IrisError } from "./errors.js";
import type { Event, Listener, Message, Unsubscribe } from "./events.js";
import { conversationOf, messageOf } from "./present.js";
import { type Changes, changes, lines } from "./store/read.js";
import type { ProfileStore } from "./store/store.js";

const EVENTS_MAX = 10_000; // of an iterator whose reader is slow

export class Feed {
  private readonly listeners = new Set<Listener>();
  private readonly iterators = new Set<Iterator>();
  private looking: Promise<void> | undefined;
  private again = false;
  private closed = false;

  /** `position`: the number of the line from which on changes are told. */
  constructor(
    private readonly store: ProfileStore,
    private readonly user: Id,
    private position: number,
    private readonly failed: (error: unknown) => void,
  ) {}

  on(listener: Listener): Unsubscribe {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  events(): AsyncIterableIterator<Event> {
    const iterator: Iterator = new Iterator(() => this.iterators.delete(iterator));
    if (this.closed) iterator.end();
    else this.iterators.add(iterator);
    return iterator;
  }

  tell(event: Event): void {
    if (this.closed) return;
    for (const listener of [...this.listeners]) {
      try {
        listener(event);
      } catch (error) {
        // A fault of the listener's, told where such faults are told; the others still hear.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    for (const iterator of [...this.iterators]) iterator.put(event);
  }

  /** Rows were committed: look what they are. */
  look(): Promise<void> {
    this.again = true;
    this.looking ??= this.read()
      .catch((error) => {
        if (!this.closed) this.failed(error);
      })
      .finally(() => {
        this.looking = undefined;
      });
    return this.looking;
  }

  close(): void {
    this.closed = true;
    this.listeners.clear();
    for (const iterator of [...this.iterators]) iterator.end();
    this.iterators.clear();
  }

  private async read(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      const found = await changes(this.store.db, this.position);
      this.position = found.position;
      if (found.more) this.again = true;
      const changed = await lines(this.store.db, found.conversations);
      for (const event of eventsOf(found)) this.tell(event);
      for (const line of changed) this.tell({ kind: "conversation", conversation: conversationOf(line, this.user) });
    }
  }
}

interface Group {
  added: Message[];
  changed: Message[];
  removed: string[];
}

function eventsOf(found: Changes): Event[] {
  const groups = new Map<Id, Group>();
  const groupOf = (conversation: Id): Group => {
    const group = groups.get(conversation) ?? { added: [], changed: [], removed: [] };
    groups.set(conversation, group);
    return group;
  };
  for (const one of found.added) groupOf(one.row.conversation).added.push(messageOf(one));
  for (const one of found.changed) groupOf(one.row.conversation).changed.push(messageOf(one));
  for (const row of found.hidden) groupOf(row.conversation).removed.push(row.message_id);
  const events: Event[] = [];
  for (const [conversation, { added, changed, removed }] of groups) {
    if (added.length + changed.length > 0) events.push({ kind: "messages", conversation, added, changed });
    if (removed.length > 0) events.push({ kind: "removed", conversation, messageIds: removed });
  }
  return [...events, ...found.gaps.map((at): Event => ({ kind: "gap", at }))];
}

/** Events for one `for await` loop. */
class Iterator implements AsyncIterableIterator<Event> {
  private queue: Event[] = [];
  private waiting: ((result: IteratorResult<Event>) => void)[] = [];
  private ended = false;
  private error: Error | undefined;

  constructor(private readonly gone: () => void) {}

  put(event: Event): void {
    const next = this.waiting.shift();
    if (next !== undefined) {
      next({ done: false, value: event });
    } else if (this.queue.length < EVENTS_MAX) {
      this.queue.push(event);
    } else {
      this.error = new IrisError(`more than ${EVENTS_MAX} events wait: the reader is too slow`);
      this.end();
    }
  }

  end(): void {
    this.ended = true;
    this.gone();
    for (const next of this.waiting.splice(0)) next({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Event> {
    return this;
  }

  async next(): Promise<IteratorResult<Event>> {
    const event = this.queue.shift();
    if (event !== undefined) return { done: false, value: event };
    if (this.error !== undefined) throw this.error;
    if (this.ended) return { done: true, value: undefined };
    return await new Promise((resolve) => this.waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<Event>> {
    this.end();
    return { done: true, value: undefined };
  }
}
