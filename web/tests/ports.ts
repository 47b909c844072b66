/** Ports for tests: a clock that is moved by hand, everything else in memory. */

import type { Notice, Permission, Ports } from "../src/models/ports.js";

export class FakePorts implements Ports {
  time = 1_800_000_000_000;
  front = true;
  path = "";
  title = "";
  copied = "";
  allowed: Permission = "default";
  answer: Permission = "granted";
  readonly shown: Notice[] = [];
  readonly kept = new Map<string, string>();
  readonly deviceName = "Test on Node";
  readonly origin = "http://127.0.0.1:8460";
  languages: readonly string[] = ["en-GB"];
  private readonly timers = new Set<{ at: number; work: () => void }>();
  private fronts: (() => void)[] = [];
  private hides: (() => void)[] = [];
  private readonly changed = new Set<(path: string) => void>();

  readonly store = {
    get: (key: string) => this.kept.get(key),
    set: (key: string, value: string) => void this.kept.set(key, value),
    remove: (key: string) => void this.kept.delete(key),
  };
  readonly address = {
    current: () => this.path,
    go: (path: string) => {
      this.path = path;
    },
    back: () => {},
    onChange: (changed: (path: string) => void) => {
      this.changed.add(changed);
      return () => this.changed.delete(changed);
    },
  };
  readonly notices = {
    permission: () => this.allowed,
    ask: async () => {
      this.allowed = this.answer;
      return this.allowed;
    },
    show: (notice: Notice) => void this.shown.push(notice),
  };

  now(): number {
    return this.time;
  }
  later(ms: number, work: () => void): () => void {
    const timer = { at: this.time + ms, work };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }
  inFront(): boolean {
    return this.front;
  }
  onFront(changed: () => void): () => void {
    this.fronts.push(changed);
    return () => {};
  }
  onHide(work: () => void): () => void {
    this.hides.push(work);
    return () => {};
  }
  async copy(text: string): Promise<void> {
    this.copied = text;
  }
  setTitle(title: string): void {
    this.title = title;
  }
  reload(): void {}

  // --- what tests do ---

  /** Moves the clock; timers that are due run in their order, and what they began ends. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter((timer) => timer.at <= until).sort((one, other) => one.at - other.at)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.work();
      await settle();
    }
    this.time = until;
    await settle();
  }
  comeToFront(): void {
    this.front = true;
    for (const one of this.fronts) one();
  }
  hide(): void {
    this.front = false;
    for (const one of this.hides) one();
  }
  visit(path: string): void {
    this.path = path;
    for (const one of this.changed) one(path);
  }
}

/** Lets what was begun end: everything in these tests ends without a timer. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
