/** A table of signals with a limit. */

import { type Signal, signal } from "@preact/signals-core";

/**
 * Signals by key, at most `most` of them. Above it those go that nothing reads just now, the one asked for longest ago first; what is
 * on the screen stays. One that has gone is made anew when it is asked for.
 */
export class Kept<T> {
  private readonly signals = new Map<string, Signal<T>>();
  private readonly read = new Set<string>();

  constructor(private readonly most: number) {}

  get size(): number {
    return this.signals.size;
  }

  find(key: string): Signal<T> | undefined {
    const found = this.signals.get(key);
    if (found !== undefined) {
      this.signals.delete(key);
      this.signals.set(key, found);
    }
    return found;
  }

  /** `first` is its value. */
  make(key: string, first: T): Signal<T> {
    const made = signal(first, {
      watched: () => void this.read.add(key),
      unwatched: () => void this.read.delete(key),
    });
    this.signals.set(key, made);
    this.trim(key);
    return made;
  }

  all(): IterableIterator<[string, Signal<T>]> {
    return this.signals.entries();
  }

  private trim(fresh: string): void {
    for (const key of this.signals.keys()) {
      if (this.signals.size <= this.most) return;
      if (key !== fresh && !this.read.has(key)) this.signals.delete(key);
    }
  }
}
